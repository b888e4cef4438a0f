"""A picture of a task's training images: a row a label, as stored and as they are trained on."""

import functools
import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adapters.experiment import output
from adapters.experiment.box_picture import framed
from adapters.experiment.mounting import INK, PAPER, mounted, shortened
from adapters.heads.contract import MOST_OF_CLASS, Target
from adapters.preprocessing import Preprocessing
from tasks import loading, pipeline
from tasks.task import Examples, Task

ROWS, STORED, AUGMENTED = 12, 8, 4
CELL, GAP, LABEL, LINE = 64, 4, 150, 22  # pixels
Samples = dict[int, list[Mapping[str, Any]]]  # the examples of each label
MOST_SEGMENTED = 500  # images whose every pixel is counted
MOST_SEEN = 20_000  # examples that are looked at, so that a vast task does not take an hour


def write_contact_sheet(path: str | os.PathLike[str], task: Task, data_dir: str | None) -> None:
    """Writes the contact sheet of `task` as the PNG file `path`; the same one every time.

    Raises OutputFileError when `path` holds anything else, and what `loading.open_split` raises.
    """
    buffer = io.BytesIO()
    contact_sheet(task, data_dir).save(buffer, "png")
    output.write_picture(path, buffer.getvalue())


def contact_sheet(task: Task, data_dir: str | None) -> Image.Image:
    """Draws up to 12 labels, evenly chosen: 8 training images each, then 4 random views.

    A class shows images of its own; of a label with a value for each image, those whose values lie
    evenly from the greatest to the least; of a class for each pixel, those of which it covers most,
    the rest of them faded; of objects, any with one of the class, all in frames.
    """
    count = min(ROWS, len(task.labels))
    shown = [index * len(task.labels) // count for index in range(count)]
    examples = loading.open_split(task, "train", data_dir)
    ((target, how),) = task.made_head.targets.items()
    choose, what, order = _KINDS[how.per]
    samples = choose(examples, target, shown)
    column = CELL + GAP
    views_left = LABEL + STORED * column + 3 * GAP
    width, height = views_left + AUGMENTED * column, LINE + count * column
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    title = shortened(f"{len(task.labels)} {what} of {task.name}", font, LABEL - 2 * GAP)
    draw.text((GAP, GAP), title, INK, font)
    draw.text((LABEL, GAP), f"training images as stored{order}", INK, font)
    draw.text((views_left, GAP), f"views trained on ({task.fit})", INK, font)
    rng = np.random.default_rng(0)
    for row, label in enumerate(shown):
        top = LINE + row * column
        text = shortened(task.labels[label], font, LABEL - 2 * GAP)
        draw.text((GAP, top + CELL // 2), text, INK, font, anchor="lm")
        for number, example in enumerate(samples[label]):
            marked = np.asarray(_marked(example, target, how))
            sheet.paste(mounted(marked, CELL), (LABEL + number * column, top))
        for number, view in enumerate(_views(task, samples[label], rng)):
            sheet.paste(view, (views_left + number * column, top))
    return sheet


def _order(examples: Examples) -> list[int]:
    """From all over the split: a folder's examples lie class by class."""
    return np.random.default_rng(0).permutation(len(examples))[:MOST_SEEN].tolist()


def _of_classes(examples: Examples, target: str, classes: Sequence[int]) -> Samples:
    """Up to 8 images of each class."""
    found: Samples = {label: [] for label in classes}
    waiting = set(classes)
    for index in _order(examples):
        example = examples[index]
        label = example[target]
        if label in waiting:
            found[label].append(example)
            if len(found[label]) == STORED:
                waiting.remove(label)
        if not waiting:
            break
    return found


def _with_objects(examples: Examples, target: str, classes: Sequence[int]) -> Samples:
    """Up to 8 images with an object of each class."""
    found: Samples = {label: [] for label in classes}
    for index in _order(examples):
        example = examples[index]
        for label in set(np.asarray(example[target])[:, 4].astype(int)) & set(classes):
            if len(found[label]) < STORED:
                found[label].append(example)
        if all(len(own) == STORED for own in found.values()):
            break
    return found


def _across(examples: Examples, target: str, labels: Sequence[int]) -> Samples:
    """8 images of each label, their values nearest to 8 that lie evenly over all values."""
    order = np.array(_order(examples))
    values = np.array([examples[int(index)][target] for index in order])
    found: Samples = {}
    for label in labels:
        # Of equal values each label shows others.
        mixed = np.random.default_rng(label).permutation(len(order))
        column, free = values[mixed, label], np.ones(len(order), bool)
        found[label] = []
        for wanted in np.linspace(column.max(), column.min(), min(STORED, len(order))):
            nearest = int(np.where(free, abs(column - wanted), np.inf).argmin())
            free[nearest] = False
            found[label].append(examples[int(order[mixed[nearest]])])
    return found


def _covering(examples: Examples, target: str, classes: Sequence[int], each: int = 1) -> Samples:
    """8 images of which each class covers most, all else faded; a class has `each` numbers."""
    order = _order(examples)[:MOST_SEGMENTED]
    shares = np.array(
        [
            [(examples[index][target] // each == label).mean() for label in classes]
            for index in order
        ]
    )
    found: Samples = {}
    for column, label in enumerate(classes):
        best = np.argsort(-shares[:, column], kind="stable")[:STORED]
        chosen = [examples[order[place]] for place in best if shares[place, column]]
        found[label] = [
            {**example, "image": _faded(example["image"], example[target] // each == label)}
            for example in chosen
        ]
    return found


def _faded(pixels: np.ndarray, kept: np.ndarray) -> np.ndarray:
    pale = (pixels.astype(np.uint16) + 3 * np.array(PAPER, np.uint16)) // 4
    return np.where(kept[..., None], pixels, pale).astype(np.uint8)


_KINDS: dict[str, tuple[Callable[[Examples, str, Sequence[int]], Samples], str, str]] = {
    "image": (_of_classes, "classes", ""),
    "output": (_across, "labels", ", the most to the least"),
    "pixel": (_covering, "classes of pixels", ", the class's own pixels alone"),
    "segment": (
        functools.partial(_covering, each=MOST_OF_CLASS),
        "classes of segments",
        ", the class's own pixels alone",
    ),
    "object": (_with_objects, "kinds of objects", ", all objects in frames"),
}


def _views(
    task: Task, examples: Sequence[Mapping[str, Any]], rng: np.random.Generator
) -> list[Image.Image]:
    """Two random views of each of the first examples, with what is learned of them."""
    preprocessing = Preprocessing(CELL, (0.0,) * 3, (1.0,) * 3, task.fit, task.background)
    ((target, how),) = task.made_head.targets.items()
    return [
        _marked(
            pipeline.training_view(example, {target: how}, task.augmentation, preprocessing, rng),
            target,
            how,
        )
        for example in examples[: AUGMENTED // 2]
        for _ in range(2)
    ]


def _marked(example: Mapping[str, Any], target: str, how: Target) -> Image.Image:
    """An example's image, with frames around its objects where it has such."""
    image = Image.fromarray(example["image"])
    if how.per != "object":
        return image
    found = np.asarray(example[target])
    found = found[found[:, 4] >= 0]
    return framed(image, found[:, :4], found[:, 4], width=max(1, round(max(image.size) / CELL)))
