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
PatchSize(header=904, head=10248, statistics=0, edits=128)
"""

import dataclasses
import os
import pathlib

from adapters import files
from adapters.store import container, schema
from adapters.store.contents import PatchContents
from adapters.store.edits import Shape
from adapters.store.errors import FileNameError, naming
from adapters.store.tensors import flatten, unflatten

_STATISTICS = ("mean", "var")


@dataclasses.dataclass(frozen=True)
class PatchSize:
    """Where a patch file's bytes go.

    Attributes:
      header: the description of the patch and of its tensors.
      head: the classifier.
      statistics: the norms' means and variances.
      edits: all other edits.
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
    """The bytes of the patch file; TooLargeError when no reader would accept so many."""
    arrays = flatten(contents.edits, contents.head)
    shapes = {name: array.shape for name, array in arrays.items()}
    data = b"".join(array.astype("<f4").tobytes() for array in arrays.values())
    card = _card(contents, shapes)
    card[container.DIGEST_FIELD] = container.digest(card, shapes, data)
    encoded = container.encode_header(card, shapes) + data
    container.check_file_size(len(encoded), container.FILE_LIMIT)
    return encoded


def patch_size(contents: PatchContents) -> PatchSize:
    """The exact size of the file that `write_patch` writes, by part, in bytes."""
    shapes = {name: a.shape for name, a in flatten(contents.edits, contents.head).items()}
    sizes = {"head": 0, "statistics": 0, "edits": 0}
    for name, shape in shapes.items():
        if name.startswith("head/"):
            part = "head"
        else:
            part = "statistics" if name.rpartition("/")[2] in _STATISTICS else "edits"
        sizes[part] += container.tensor_size(shape)
    card = _card(contents, shapes) | {container.DIGEST_FIELD: container.NO_DIGEST}
    return PatchSize(header=len(container.encode_header(card, shapes)), **sizes)


def _card(contents: PatchContents, shapes: dict[str, Shape]) -> dict[str, object]:
    edits, head = unflatten(shapes)
    return schema.encode_card(contents, edits, head)
