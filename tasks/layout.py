"""Images from carriers, written once to the cache in the layout Visual Decathlon has in TFDS.

One layout means one loader: `{name: Text, image: Image [H, W, 3], label: ClassLabel}` in
array_record files, as `tfds.builder('visual_domain_decathlon/...')` prepares them; in the place of
`label`, heads with a value for each output have a tensor of them, heads with a class for each pixel
an image of them, 255 where a pixel does not count, those with a segment for each one of 16 bits and
65535, and heads that find objects a row for each.
TensorFlow is not needed.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from absl import logging
from PIL import Image

from adapters import files, preprocessing
from adapters.heads.contract import MOST_OF_CLASS, Target, TargetError
from tasks import digest, made_from, objects, pixels, records
from tasks.digest import Contents
from tasks.records import NO_CLASS, NO_SEGMENT
from tasks.task import ImageFileExamples, Task, TaskError

SHORT_SIDE = 72
"""Longest short side that is kept, pixels: Visual Decathlon's."""

ALL_WHOLE = "whole"
"""A file in the folder of images of which none was shrunk."""

DIGEST_FILE = "content.sha256"
KEPT_CONTENTS = ".contents"


class Example(NamedTuple):
    """One image of a carrier, with the split it belongs to.

    `label` is what its head learns: the number of a class, a number for each output, classes or
    segments [H, W] of the image's pixels, -1 where one does not count, or objects [n, 5]: left,
    top, right and bottom in parts of the image's sides, and the class's number. `inputs` are those
    of the task, beside the image. `file` is the image file that `image` was read from, where that
    was shrunk.
    """

    split: str
    name: str
    image: Image.Image
    label: int | tuple[float, ...] | np.ndarray
    inputs: Mapping[str, tuple[float, ...]] = {}
    file: bytes | None = None


@dataclasses.dataclass(frozen=True)
class Carried:
    """A source that makes its images from carriers, in the cache, the first time one is wanted.

    generate: yields every example of every split; called once for each version of the task, and
      again for the first network of larger images than `short_side`, where any is larger.
    short_side: images are shrunk to it where theirs is longer, pixels; those for networks of larger
      images are kept whole.
    reads: the user's files that it reads, or folders of them: when one changes, the images are made
      anew.
    """

    generate: Callable[[], Iterable[Example]]
    short_side: int = SHORT_SIDE
    reads: Sequence[str | os.PathLike[str]] = ()

    @property
    def ours(self) -> bool:
        """Whether a version tells what it generates; otherwise its files do."""
        return self.generate.__module__.startswith("tasks.")

    def open(self, task: Task, split: str, data_dir: str | None) -> ImageFileExamples:
        """Opens a split, writing the task's images first if they are not there."""
        del data_dir
        return records.open_records(self._made(task), split, task)

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> ImageFileExamples:
        """Opens a split for a network whose images have this side, writing them as `open` does."""
        del data_dir
        short_side = pixels.short_side_for(size)
        return records.open_records(self._made(task, size), split, task, short_side)

    def contents(self, task: Task, split: str, data_dir: str | None) -> Contents:
        """What a split holds. Its digest is of pixels, alike on every machine, and is kept."""
        del data_dir
        directory = self._made(task)
        kept = directory / f"{split}{KEPT_CONTENTS}"
        try:
            images, known = kept.read_text().split()
            return Contents(int(images), known)
        except (OSError, ValueError):
            found = digest.of_examples(records.open_records(directory, split, task))
        with contextlib.suppress(files.NotWrittenError, files.NotDurableError):
            files.write_bytes(kept, f"{found.images} {found.digest}\n".encode())
        return found

    def _made(self, task: Task, size: int = 0) -> pathlib.Path:
        """The folder of images for a network of images of this size, made if it is not there."""
        directory = cached_directory(task)
        self._make(task, directory, self.short_side)
        if size <= self.short_side or (directory / ALL_WHOLE).exists():
            return directory
        whole = directory.with_name(f"{directory.name}-whole")
        self._make(task, whole, None)
        return whole

    def _make(self, task: Task, directory: pathlib.Path, short_side: int | None) -> None:
        if not directory.is_dir():
            logging.info("making the images of task %s (once) in %s", task.kept_as, directory)
            checked = made_from.checked(task.name, self.generate, self.reads)
            examples = self.generate() if self.ours else checked
            write(task, examples, directory, short_side)


def cached_directory(task: Task) -> pathlib.Path:
    """Returns the folder a carried task's images have, or will have.

    A file outside this package is still being written, perhaps: its content, and that of what it
    reads, is part of the folder's name, so that an edit makes the images anew.

    Raises TaskError where there is nothing to read.
    """
    source, name = task.source, task.kept_as
    if isinstance(source, Carried) and not source.ours:
        name += f"-{made_from.key(source.generate, source.reads)}"
    return files.cache_directory() / "data" / name / task.version


def write(
    task: Task,
    examples: Iterable[Example],
    directory: pathlib.Path,
    short_side: int | None = SHORT_SIDE,
) -> str:
    """Writes `examples` to the new folder `directory`, whole or not at all; returns their digest.

    Images are laid over the task's background, shrunk to a short side of `short_side` where that is
    longer, unless it is None, and put into an order that makes any first part of a split a fair
    sample of it. The digest (SHA-256 of every split, name, label and pixel) is also left in the
    folder, so that two machines can tell whether they hold the same data.

    Raises TaskError when a split stays empty, or an example belongs to no split or class.
    """
    head = task.made_head
    ((target, how),) = head.targets.items()
    by_split: dict[str, list[_Held]] = {split: [] for split in task.splits}
    all_whole = True
    for example in examples:
        fault = _fault(example, task)
        if fault:
            raise TaskError(f"task {task.name!r}: the example {example.name!r} has {fault}.")
        own = _held(example, how, task.background, short_side)
        by_split[example.split].append(own)
        all_whole &= own.whole
    empty = [split for split, members in by_split.items() if not members]
    if empty:
        raise TaskError(f"task {task.name!r}: no images for {', '.join(empty)}.")
    for split, members in by_split.items():
        try:
            head.check_targets({target: _together([example.label for example in members])})
        except TargetError as error:
            raise TaskError(f"task {task.name!r}, split {split}: {error}") from error
    for members in by_split.values():
        members.sort(key=lambda own: hashlib.sha256(own.name.encode()).digest())
    with files.new_directory(directory) as folder:
        try:
            digest_of_all = _write_records(task, by_split, folder)
        except RuntimeError as error:  # what array_record's writer raises when the disk is full
            raise files.NotWrittenError(directory, str(error)) from error
        (folder / DIGEST_FILE).write_text(digest_of_all + "\n")
        if all_whole:
            (folder / ALL_WHOLE).touch()
    return digest_of_all


class _Held(NamedTuple):
    """An example until it is written.

    `picture` is its image, or, where that may be large, an image file of it. `whole` says that
    nothing was shrunk.
    """

    name: str
    picture: Image.Image | bytes
    label: int | tuple[float, ...] | np.ndarray
    inputs: Mapping[str, tuple[float, ...]]
    whole: bool

    def image(self, background: preprocessing.Colour) -> Image.Image:
        """In RGB, over this background."""
        if isinstance(self.picture, Image.Image):
            return self.picture
        return preprocessing.decode(self.picture, background)


def _held(
    example: Example, how: Target, background: preprocessing.Colour, short_side: int | None
) -> _Held:
    picture: Image.Image | bytes
    image, label = preprocessing.to_rgb(example.image, background), example.label
    if short_side is None:
        picture = example.file or _png(image).getvalue()
        return _Held(example.name, picture, label, example.inputs, whole=True)
    picture = preprocessing.shrink(image, short_side)
    if how.of_pixels and isinstance(label, np.ndarray):
        label = preprocessing.shrink_classes(label, short_side)
    whole = example.file is None and picture.size == image.size
    return _Held(example.name, picture, label, example.inputs, whole)


def _fault(example: Example, task: Task) -> str | None:
    """What is wrong with an example, in words that follow "has"."""
    if example.split not in task.splits:
        return f"the split {example.split!r}; it must be one of {', '.join(task.splits)}"
    ((_, how),) = task.made_head.targets.items()
    outputs = len(task.labels)
    label: Any = example.label
    if how.of_pixels:
        size = (example.image.height, example.image.width)
        what, each = ("segments", MOST_OF_CLASS) if how.per == "segment" else ("classes", 1)
        if not (isinstance(label, np.ndarray) and label.shape == size):
            return f"no {what} of its pixels; {task.head} takes an array of them, {list(size)}"
        if label.dtype.kind not in "iu" or label.min() < -1 or label.max() >= outputs * each:
            return f"a pixel whose class is none of 0 to {outputs - 1}, nor -1 for no class"
    elif how.per == "object":
        fault = objects.fault(label, outputs)
        if fault:
            return f"{fault}; {task.head} takes an array [n, 5] of float32"
    elif how.per == "output":
        if not (isinstance(label, tuple) and _finite(label, (outputs,))):
            return f"the label {label!r}; {task.head} takes a tuple of finite numbers, {outputs}"
    elif not (isinstance(label, int | np.integer) and 0 <= label < outputs):
        return f"the label {label!r}; a class is a whole number from 0 to {outputs - 1}"
    if set(example.inputs) != set(task.inputs):
        has, wanted = (", ".join(each) or "none" for each in (example.inputs, task.inputs))
        return f"the inputs {has}; the task has {wanted}"
    for name, shape in task.inputs.items():
        if not _finite(example.inputs[name], shape):
            return f"{name} {example.inputs[name]!r}; it takes finite numbers {list(shape)}"
    return None


def _finite(values: Any, shape: tuple[int, ...]) -> bool:
    try:
        given = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        return False
    return given.shape == shape and bool(np.isfinite(given).all())


def _write_records(
    task: Task, by_split: Mapping[str, Sequence[_Held]], folder: pathlib.Path
) -> str:
    """Writes all examples and returns their digest."""
    # TFDS is slow to import, and not every command needs data.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info

    identity = dataset_info.DatasetIdentity(
        name=re.sub(r"\W", "_", task.kept_as),
        version=tfds.core.Version(task.version),
        data_dir=str(folder),
        module_name="tasks.layout",
    )
    ((target, how),) = task.made_head.targets.items()
    features = tfds.features.FeaturesDict(
        {
            "name": tfds.features.Text(),
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            target: _feature(task, how),
            **{
                name: tfds.features.Tensor(shape=shape, dtype=np.dtype("float32"))
                for name, shape in task.inputs.items()
            },
        }
    )
    writer = tfds.core.SequentialWriter(
        ds_info=tfds.core.DatasetInfo(
            builder=identity, description=task.description, features=features
        ),
        max_examples_per_shard=1 << 20,
        file_format="array_record",
    )
    writer.initialize_splits(list(by_split))
    found = hashlib.sha256()

    def written(split: str) -> Iterator[dict[str, Any]]:
        for own in by_split[split]:
            image, label = own.image(task.background), cast(Any, own.label)
            if isinstance(label, np.ndarray):
                label = hashlib.sha256(label.tobytes()).hexdigest()
            known = (split, own.name, label, image.size)
            found.update(repr((*known, *sorted(own.inputs.items()))).encode())
            found.update(image.tobytes())
            yield _record(own, image, target, how)

    for split in by_split:
        writer.add_examples({split: written(split)})
    writer.close_all()
    return found.hexdigest()


def _feature(task: Task, how: Target) -> Any:
    """How TFDS keeps a target."""
    import tensorflow_datasets as tfds

    match how.per:
        case "image":
            return tfds.features.ClassLabel(names=list(task.labels))
        case "output":
            return tfds.features.Tensor(shape=(len(task.labels),), dtype=np.dtype(how.dtype))
        case "pixel" | "segment":
            dtype = np.dtype("uint8" if how.per == "pixel" else "uint16")
            return tfds.features.Image(shape=(None, None, 1), dtype=dtype, encoding_format="png")
        case "object":
            return tfds.features.Tensor(shape=(None, objects.WIDTH), dtype=np.dtype(how.dtype))


def _record(own: _Held, image: Image.Image, target: str, how: Target) -> dict[str, Any]:
    label: Any = own.label
    if how.per in ("output", "object"):
        label = np.asarray(label, how.dtype)
    elif how.per == "pixel":
        label = _png(Image.fromarray(np.where(label < 0, NO_CLASS, label).astype(np.uint8)))
    elif how.per == "segment":
        label = _png(Image.fromarray(np.where(label < 0, NO_SEGMENT, label).astype(np.uint16)))
    inputs = {name: np.asarray(values, np.float32) for name, values in own.inputs.items()}
    return {"name": own.name, "image": _png(image), target: label, **inputs}


def _png(image: Image.Image) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "png")
    file.seek(0)
    return file


def _together(labels: Sequence[Any]) -> Any:
    """One array, or a list where images are of several sizes."""
    return labels if isinstance(labels[0], np.ndarray) else np.array(labels)
