"""Reading a prepared TFDS folder: the real Visual Decathlon, or our own in its layout."""

import contextlib
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import errors, preprocessing
from adapters.heads.contract import Target
from tasks import pixels
from tasks.digest import DIGITS, Contents
from tasks.task import ImageFileExamples, Task

NO_CLASS = 255  # what a pixel without a class is stored as
NO_SEGMENT = 65535  # what one without a segment is


class DamagedDataError(errors.ModelPatchError):
    """A folder of prepared images is not what it should be."""


class UnreadableFolderError(DamagedDataError):
    """TFDS cannot read a folder of prepared images."""


class DataNotPreparedError(errors.ModelPatchError):
    """The data lie behind a download that only TFDS's own tool makes, and it was not made."""

    def __init__(self, builder: str, directory: pathlib.Path, base: pathlib.Path, hint: str = ""):
        super().__init__(
            f"there is no prepared data in {directory}.{hint} Prepare it once with\n"
            "  pip install tensorflow tensorflow-datasets\n"
            f"  tfds build {builder} --file_format=array_record --data_dir={base}\n"
            f"or say where it is, in data_dir (now: {base}).",
            settings=["data_dir"],
        )


def open_records(
    directory: pathlib.Path, split: str, task: Task, short_side: int | None = None
) -> ImageFileExamples:
    """Opens `split` of a TFDS folder of array_record files with the classes of `task`.

    Images whose short side is longer than `short_side` pixels are shrunk to it, if one is given.

    Raises DamagedDataError when the folder cannot be read, has no such split or other classes.
    """
    labels, ((target, how),) = task.labels, task.made_head.targets.items()
    with _reading(directory):
        found = _labels(information(directory).features[target], how, labels)
    images = ["image", *([target] if how.of_pixels else [])]
    rows = encoded(directory, split, *images)
    if list(found) != list(labels):
        raise DamagedDataError(
            f"{directory} has {len(found)} classes, {_few(found)}; the task has {len(labels)}, "
            f"{_few(labels)}. If the task changed, raise its version."
        )
    return decoded(rows, f"{split} in {directory}", task, short_side)


def information(directory: pathlib.Path) -> Any:
    """What TFDS knows of a folder: a `DatasetInfo`. Raises UnreadableFolderError."""
    # TFDS is slow to import, and not every command needs data.
    import tensorflow_datasets as tfds

    with _reading(directory):
        return tfds.builder_from_directory(directory).info


def encoded(directory: pathlib.Path, split: str, *images: str) -> Any:
    """Random access to the records of a split, the features `images` as their files' bytes.

    Raises UnreadableFolderError.
    """
    import tensorflow_datasets as tfds

    with _reading(directory):
        builder = tfds.builder_from_directory(directory)
        found = builder.as_data_source(
            split, decoders={name: tfds.decode.SkipDecoding() for name in images}
        )
        # TFDS opens files only when they are read; a missing one is better found now.
        for path in builder.info.splits[split].filepaths:
            os.stat(path)
        found[0]
        return found


def decoded(rows: Any, place: str, task: Task, short_side: int | None) -> ImageFileExamples:
    """Examples of a task from rows `{"name": bytes, "image": bytes of a file, target: value}`.

    `place` is where they are, for messages; see `open_records` for `short_side`.
    """
    return _Decoded(rows, place, task, short_side)


def contents(directory: pathlib.Path, split: str) -> Contents:
    """What a split of a TFDS folder holds, by the names and sizes of its files.

    Raises UnreadableFolderError.
    """
    with _reading(directory):
        found = information(directory).splits[split]
        files = [(os.path.basename(path), os.stat(path).st_size) for path in found.filepaths]
        return Contents(
            found.num_examples, hashlib.sha256(repr(files).encode()).hexdigest()[:DIGITS]
        )


def default_data_dir() -> str:
    """Where TFDS keeps data that is not told where."""
    return os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")


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

    def __init__(self, encoded: Any, place: str, task: Task, short_side: int | None):
        self._encoded, self._place, self._inputs = encoded, place, tuple(task.inputs)
        self._background, self._short_side = task.background, short_side
        ((self._target, how),) = task.made_head.targets.items()
        self._how = how
        self._cache = pixels.PixelCache()

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        record = self._record(index)
        known = self._known(index, record)
        if self._how.of_pixels and self._short_side is not None:
            known[self._target] = preprocessing.shrink_classes(
                known[self._target], self._short_side
            )

        def decode() -> npt.NDArray[np.uint8]:
            return np.asarray(self._decode(index, record, self._background, self._short_side))

        return {**known, "image": self._cache.get(index, decode)}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        return self._known(index, self._record(index))

    def file(self, index: int) -> bytes:
        """An example's image file."""
        return bytes(self._record(index)["image"])

    def prepared(self, index: int, how: preprocessing.Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole one."""
        record = self._record(index)
        whole = self._decode(index, record, how.background, None)
        image = preprocessing.prepare(whole, how)
        return {**self._known(index, record), "image": image, "shape": (whole.height, whole.width)}

    def _record(self, index: int) -> Mapping[str, Any]:
        record: Mapping[str, Any] = self._encoded[index]
        if record["image"] is None:  # how TFDS reads an example that was cut off
            raise DamagedDataError(f"example {index} of {self._place} is missing: prepare it anew.")
        return record

    def _known(self, index: int, record: Mapping[str, Any]) -> dict[str, Any]:
        target = record[self._target]
        if self._how.of_pixels:
            target = self._cache.get((index, self._target), lambda: _numbers(record[self._target]))
        elif self._how.per == "image":
            target = int(target)
        others = {name: record[name] for name in self._inputs}
        return {"name": record["name"].decode(), self._target: target, **others}

    def _decode(
        self,
        index: int,
        record: Mapping[str, Any],
        background: preprocessing.Colour,
        short_side: int | None,
    ) -> Image.Image:
        try:
            return preprocessing.decode(record["image"], background, short_side)
        except preprocessing.UnreadableImageError as error:
            raise DamagedDataError(f"image {index} of {self._place}: {error}") from error


def _numbers(data: bytes) -> np.ndarray:
    """Classes or segments [H, W] int16, -1 where a pixel does not count."""
    stored = np.asarray(Image.open(io.BytesIO(data)))
    none = NO_CLASS if stored.dtype == np.uint8 else NO_SEGMENT
    return np.where(stored == none, np.int16(-1), stored.astype(np.int16))


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
