"""What a split holds, in a digest: so that a run, or a patch, knows its data again."""

import hashlib
import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from adapters import files
from tasks.task import Examples, Task

DIGITS = 16  # hexadecimal, of a SHA-256: against accidents, not against forgers


class Contents(NamedTuple):
    """What a split holds.

    Attributes:
      images: how many.
      digest: `DIGITS` digits that are others where the data are.
    """

    images: int
    digest: str

    def __str__(self) -> str:
        return f"{self.images} images with the digest {self.digest}"


@runtime_checkable
class TellsContents(Protocol):
    """A source that knows what a split holds without opening it."""

    def contents(self, task: Task, split: str, data_dir: str | None) -> Contents: ...


def of_files(named: Iterable[tuple[str, pathlib.Path]]) -> Contents:
    """Of image files: each one's name and bytes. One that cannot be read counts as that.

    So does a pipe or a device, which is not waited for.
    """
    found, images = hashlib.sha256(), 0
    for name, path in named:
        found.update(os.fsencode(name) + b"\0" + _bytes_of(path).encode() + b"\0")
        images += 1
    return Contents(images, found.hexdigest()[:DIGITS])


def of_examples(examples: Examples) -> Contents:
    """Of examples: names, pixels, targets and inputs; reads them all."""
    found = hashlib.sha256()
    for example in examples:
        for name, value in sorted(example.items()):
            array = np.asarray(value)
            found.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return Contents(len(examples), found.hexdigest()[:DIGITS])


def _bytes_of(path: pathlib.Path) -> str:
    try:
        with files.open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"
