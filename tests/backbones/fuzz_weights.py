"""Coverage-guided fuzzing of everything that reads weights; not part of the tests.

    python -m tests.backbones.fuzz_weights out/fuzz/weights -max_total_time=600

It begins with small files of every format. One that ends as an index of TensorFlow's does lies
beside data files, and has all its checksums. A file must be read or refused by an error of ours,
in 256 MB.
"""

import contextlib
import io
import pathlib
import random
import sys
import tempfile
import tracemalloc
import zipfile

import atheris
import numpy as np
import safetensors.numpy

with atheris.instrument_imports(include=["adapters.backbones", "adapters"]):
    from adapters.backbones import formats
    from adapters.backbones.convert import load_checkpoint
    from adapters.backbones.registry import table
    from adapters.backbones.tensorflow import checksum
    from adapters.backbones.tensorflow.table import MAGIC
    from adapters.errors import ModelPatchError
    from tests import fuzzing, imports

LARGEST = 2**17  # bytes of a file
MEMORY = 2**28  # bytes that reading one may take
GOLDEN = imports.ROOT / "tests" / "golden"
ROWS = table("mobilenet_v2_0.35")
WHOLE = 2**16  # elements of a tensor that is read whole


class _Right(int):
    """A checksum that is always the one that was expected."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def one(content: bytes) -> None:
    """Reads one file: as weights of one backbone, and all its tensors, whatever they are."""
    is_index = content.endswith(MAGIC)
    path = FOLDER / ("fuzz.index" if is_index else "fuzz")
    path.write_bytes(content)
    tracemalloc.reset_peak()
    with contextlib.suppress(ModelPatchError):
        load_checkpoint(path, ROWS)
    with contextlib.suppress(ModelPatchError):
        read(formats.read_weights(path))
    peak = tracemalloc.get_traced_memory()[1]
    assert peak < MEMORY, f"{peak} bytes to read {len(content)}"


def read(tree: object) -> None:
    """Reads every tensor of a tree."""
    if isinstance(tree, dict):
        for inside in tree.values():
            read(inside)
    elif np.prod(getattr(tree, "shape", ()), dtype=float) <= WHOLE:
        np.asarray(tree.read() if hasattr(tree, "read") else tree)


def mutate(content: bytes, most: int, seed: int) -> bytes:
    """Another file of at most `most` bytes; of an archive, one member is changed."""
    chosen = random.Random(seed)
    changed = b""
    if content.startswith(b"PK") and chosen.random() < 0.8:
        with contextlib.suppress(Exception):  # it is no archive any more
            changed = repacked(content, chosen)
    return changed if 0 < len(changed) <= most else atheris.Mutate(content, most)


def repacked(content: bytes, chosen: random.Random) -> bytes:
    """The archive with one of its members changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        names = old.namelist()
        picked = chosen.choice(names)
        for name in names:
            data = old.read(name)
            new.writestr(name, atheris.Mutate(data, len(data) + 64) if name == picked else data)
    return file.getvalue()


def seeds() -> list[bytes]:
    """Files of every format."""
    tensors = {"features.0.0.weight": np.ones((4, 3, 3, 3), np.float32), "b": np.zeros(2, np.int64)}
    paths = [path for path in sorted(GOLDEN.iterdir()) if path.is_file() and path.suffix != ".py"]
    found = [path.read_bytes() for path in paths if not path.name.endswith((".json", "BUILD"))]
    return [*found, safetensors.numpy.save(tensors)]


if __name__ == "__main__":
    checksum.masked = lambda data: _Right()
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = pathlib.Path(folder)
        for name in ("00000-of-00001", "00000-of-00002", "00001-of-00002"):
            (FOLDER / f"fuzz.data-{name}").write_bytes(bytes(512))
        tracemalloc.start()
        fuzzing.run(sys.argv, one, seeds(), LARGEST, mutate)
