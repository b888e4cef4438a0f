"""Reading a prepared TFDS folder: the real Visual Decathlon, or our own in its layout."""

import contextlib
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from adapters import errors, preprocessing
from adapters.heads.contract import Target
from tasks import pixels
from tasks.digest import DIGITS, Contents
from tasks.task import Examples, Task

NO_CLASS = 255  # what a pixel without a class is stored as


class DamagedDataError(errors.ModelPatchError):
    """A folder of prepared images is not what it should be."""


class UnreadableFolderError(DamagedDataError):
    """TFDS cannot read a folder of prepared images."""


def open_records(directory: pathlib.Path, split: str, task: Task) -> Examples:
    """Opens `split` of a TFDS folder of array_record files with the classes of `task`.

    Raises DamagedDataError when the folder cannot be read, has no such split or other classes.
    """
    labels, ((target, how),) = task.labels, task.made_head.targets.items()
    # TFDS is slow to import, and not every command needs data.
    import tensorflow_datasets as tfds

    with _reading(directory):
        builder = tfds.builder_from_directory(directory)
        feature = builder.info.features[target]
        found = _labels(feature, how, labels)
        images = ["image", *([target] if how.per == "pixel" else [])]
        encoded = builder.as_data_source(
            split, decoders={name: tfds.decode.SkipDecoding() for name in images}
        )
        # TFDS opens files only when they are read; a missing one is better found now.
        for path in builder.info.splits[split].filepaths:
            os.stat(path)
        encoded[0]
    if list(found) != list(labels):
        raise DamagedDataError(
            f"{directory} has {len(found)} classes, {_few(found)}; the task has {len(labels)}, "
            f"{_few(labels)}. If the task changed, raise its version."
        )
    return _Decoded(encoded, f"{split} in {directory}", task)


def contents(directory: pathlib.Path, split: str) -> Contents:
    """What a split of a TFDS folder holds, by the names and sizes of its files.

    Raises UnreadableFolderError.
    """
    import tensorflow_datasets as tfds

    with _reading(directory):
        found = tfds.builder_from_directory(directory).info.splits[split]
        files = [(os.path.basename(path), os.stat(path).st_size) for path in found.filepaths]
        return Contents(
            found.num_examples, hashlib.sha256(repr(files).encode()).hexdigest()[:DIGITS]
        )


@contextlib.contextmanager
def _reading(directory: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # TFDS raises many kinds, of many packages
        said = str(error).strip().splitlines() or [""]
        raise UnreadableFolderError(
            f"{directory} cannot be read ({type(error).__name__}: {said[0]}). If it is in the "
            "cache, delete it and run again; if it is yours, prepare it as array_record files."
        ) from error


class _Decoded:
    """Examples whose images are decoded when they are asked for."""

    def __init__(self, encoded: Any, place: str, task: Task):
        self._encoded, self._place, self._inputs = encoded, place, tuple(task.inputs)
        ((self._target, how),) = task.made_head.targets.items()
        self._per = how.per
        self._cache = pixels.PixelCache()

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        record = self._encoded[index]
        if record["image"] is None:  # how TFDS reads an example that was cut off
            raise DamagedDataError(f"example {index} of {self._place} is missing: prepare it anew.")
        return {
            "name": record["name"].decode(),
            "image": self._cache.get(index, lambda: self._decode(index, record["image"])),
            self._target: self._known(index, record[self._target]),
            **{name: record[name] for name in self._inputs},
        }

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def _known(self, index: int, stored: Any) -> Any:
        if self._per == "pixel":
            return self._cache.get((index, self._target), lambda: _classes(stored))
        return int(stored) if self._per == "image" else stored

    def _decode(self, index: int, data: bytes) -> np.ndarray:
        try:
            return np.asarray(preprocessing.decode(data))
        except preprocessing.UnreadableImageError as error:
            raise DamagedDataError(f"image {index} of {self._place}: {error}") from error


def _classes(data: bytes) -> np.ndarray:
    """Classes [H, W] int16, -1 where a pixel does not count."""
    stored = np.asarray(Image.open(io.BytesIO(data))).astype(np.int16)
    return np.where(stored == NO_CLASS, np.int16(-1), stored)


def _labels(feature: Any, how: Target, labels: Sequence[str]) -> Sequence[str]:
    """What a folder calls its outputs, as far as it says so."""
    match how.per:
        case "image":
            return feature.names
        case "output":
            return labels[: feature.shape[0]]
        case _:
            return labels


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels[:4]) + (", ..." if len(labels) > 4 else "")
