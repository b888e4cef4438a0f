"""Writes a patch: the same contents give the same bytes, on every machine and every save.

>>> import pathlib, tempfile
>>> import numpy as np
>>> from adapters.store.contents import Parity, PatchContents
>>> from adapters.store.read import read_patch
>>> contents = PatchContents(
...     task="flowers", task_version="1.0.0", patch="scale_bias", backbone="mobilenet_v2_1.0",
...     fingerprint="0" * 64, norm="frozen", labels=("rose", "tulip"),
...     metric="top1", scores={"validation": 0.9375}, preprocessing={"size": 224},
...     parity=Parity(seed=0, shape=(224, 224, 3), logits=(0.25, -1.5), tolerance=1e-3),
...     edits={"replace": {"stem/norm": {"scale": np.ones(32, np.float32)}}},
...     head={"w": np.ones((1280, 2), np.float32), "b": np.zeros(2, np.float32)},
... )
>>> path = pathlib.Path(tempfile.mkdtemp()) / "flowers.patch"
>>> write_patch(path, contents)
>>> read_patch(path, shapes={"stem/norm": {"scale": (32,)}}, features=1280).labels
('rose', 'tulip')
>>> patch_size(contents)
PatchSize(header=928, head=10248, statistics=0, edits=128)
"""

import dataclasses
import os
import pathlib

import numpy as np

from adapters import files
from adapters.store import container, encoding, schema
from adapters.store.contents import PatchContents
from adapters.store.errors import FileNameError, SchemaError, naming
from adapters.store.kinds import Array, Shape
from adapters.store.tensors import SCALE, flatten, unflatten
from adapters.vocabulary import STATISTICS


@dataclasses.dataclass(frozen=True)
class PatchSize:
    """Where a patch file's bytes go.

    Attributes:
      header: the description of the patch and of its tensors.
      head: the classifier, with its scales in `int8`.
      statistics: the norms' means and variances.
      edits: all other edits, with their scales.
    """

    header: int
    head: int
    statistics: int
    edits: int

    @property
    def total(self) -> int:
        """The size of the file."""
        return self.header + self.head + self.statistics + self.edits


def write_patch(path: str | os.PathLike[str], contents: PatchContents) -> None:
    """Writes `contents` to `path`, whose last part is `TASK.patch`, whole or not at all.

    Raises FileNameError for another name, TooLargeError for a patch that `read_patch` would
    refuse, and NotWrittenError when the disk does.
    """
    with naming(path):
        name = f"{contents.task}.patch"
        if pathlib.Path(path).name != name:
            raise FileNameError(f"the patch for the task {contents.task!r} is called {name!r}")
        data = encode_patch(contents)
    files.write_bytes(path, data)


def encode_patch(contents: PatchContents) -> bytes:
    """The bytes of the patch file.

    Raises TooLargeError when no reader would accept so many, EncodingError for a number that the
    encoding cannot hold, and SchemaError for one that it would round: scores and parity logits of
    other numbers than the file's would not be the file's.
    """
    arrays = flatten(contents.edits, contents.head)
    shapes = {name: array.shape for name, array in arrays.items()}
    layout = encoding.layout(shapes, contents.encoding)
    stored = encoding.encode(arrays, contents.encoding)
    _check_rounded(arrays, encoding.decode(stored), contents.encoding)
    data = b"".join(
        array.astype(encoding.DTYPES[layout[name].dtype]).tobytes()
        for name, array in stored.items()
    )
    card = _card(contents, shapes)
    card[container.DIGEST_FIELD] = container.digest(card, layout, data)
    header = container.encode_header(card, layout)
    encoded = header + data
    container.check_file_size(len(encoded), container.FILE_LIMIT)
    container.check_density(header, len(encoded))
    return encoded


def patch_size(contents: PatchContents) -> PatchSize:
    """The exact size of the file that `write_patch` writes, by part, in bytes."""
    shapes = {name: a.shape for name, a in flatten(contents.edits, contents.head).items()}
    sizes = {"head": 0, "statistics": 0, "edits": 0}
    layout = encoding.layout(shapes, contents.encoding)
    for name, storage in layout.items():
        of = name.removeprefix(SCALE)
        if of.startswith("head/"):
            part = "head"
        else:
            part = "statistics" if of.rpartition("/")[2] in STATISTICS else "edits"
        sizes[part] += storage.size
    card = _card(contents, shapes) | {container.DIGEST_FIELD: container.NO_DIGEST}
    return PatchSize(header=len(container.encode_header(card, layout)), **sizes)


def _check_rounded(given: dict[str, Array], kept: dict[str, Array], encoding_name: str) -> None:
    for name, array in given.items():
        if not np.array_equal(array, kept[name]):
            raise SchemaError(
                f"{name} holds numbers that {encoding_name} rounds; pass what `encoding.rounded` "
                "gives, so that scores and parity are the file's"
            )


def _card(contents: PatchContents, shapes: dict[str, Shape]) -> dict[str, object]:
    edits, head = unflatten(shapes)
    return schema.encode_card(contents, edits, head)
