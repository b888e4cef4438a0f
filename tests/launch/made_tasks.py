"""Tasks of squares in memory: one for each kind of head, and one with a place."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tasks.task import Task

SIZES = {"train": 24, "validation": 12, "test": 12}


@dataclasses.dataclass(frozen=True)
class Squares:
    """A source of noisy squares; each example's targets follow from its colour, and its place."""

    kind: str

    def open(self, task: Task, split: str, data_dir: str | None) -> "list[Mapping[str, Any]]":
        generator = np.random.default_rng([len(split), len(self.kind)])
        return list(self._examples(generator, split))

    def _examples(self, generator: np.random.Generator, split: str) -> Iterator[Mapping[str, Any]]:
        for number in range(SIZES[split]):
            on = generator.integers(0, 2, 3) if number > 1 else np.full(3, number)
            noise = generator.integers(-40, 40, (20, 24, 3))
            image = np.clip(60 + 130 * on + noise, 0, 255).astype(np.uint8)
            place = generator.normal(size=3).astype(np.float32)
            targets = {
                "classification": {"label": int(place[2] > 0)},
                "multilabel": {"labels": on.astype(np.float32)},
                "regression": {"values": np.array([image.mean(), image.std()], np.float32)},
                "segmentation": {"classes": np.zeros((20, 24), np.int16)},
                "panoptic": {"segments": np.zeros((20, 24), np.int16)},
                "ssdlite": {"objects": np.zeros((0, 5), np.float32)},
            }
            if self.kind == "segmentation":
                image, targets["segmentation"]["classes"] = patch_of_light(image, generator)
            if self.kind == "panoptic":
                image, targets["panoptic"]["segments"] = two_lights(image, generator)
            if self.kind == "ssdlite" and number:  # the first shows nothing
                image, targets["ssdlite"]["objects"] = square(image, generator)
            example = {"name": f"{split}-{number}", "image": image, **targets[self.kind]}
            yield {**example, "place": place}


def patch_of_light(
    image: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image with a part of it white, and where that is 1; the lowest row is of no class."""
    classes = np.zeros(image.shape[:2], np.int16)
    left, top = generator.integers(0, 12, 2)
    classes[top : top + 8, left : left + 12] = 1
    lit = np.where(classes[..., None] == 1, np.uint8(250), image // 2)
    classes[-1] = -1
    return lit, classes


def two_lights(image: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The image with a light in its left half and one in its right: segments 100 and 101."""
    segments = np.zeros(image.shape[:2], np.int16)
    for number in range(2):
        left, top = generator.integers(0, 4) + 12 * number, generator.integers(0, 10)
        segments[top : top + 8, left : left + 8] = 100 + number
    lit = np.where(segments[..., None] >= 100, np.uint8(250), image // 2)
    segments[-1] = -1
    return lit, segments


def square(image: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The image with a square in it, lit or dark, and where: its class is 0 if lit, else 1."""
    left, top = generator.integers(0, 14, 2)
    dark = int(generator.integers(0, 2))
    shown = image // 4 + 90
    shown[top : top + 6, left : left + 8] = 5 if dark else 250
    box = [left / 24, top / 20, (left + 8) / 24, (top + 6) / 20, dark]
    return shown, np.array([box], np.float32)


def task(name: str, head: str, labels: tuple[str, ...], **fields: Any) -> Task:
    kind = head.partition("(")[0]
    return Task(name, Squares(kind), labels, "Made for a test.", (0.0, 1.0), head=head, **fields)


COLOURS = task("colours", "multilabel", ("red", "green", "blue"))
BRIGHTNESS = task("brightness", "regression(unit=levels)", ("mean", "deviation"))
LIGHTS = task("lights", "segmentation(low=stride_2, high=stride_4)", ("ground", "light"))
TWO_LIGHTS = task(
    "two_lights",
    "panoptic(low=stride_2, high=stride_4, queries=5, dimension=16, blocks=1, stuff=1, remask=true,"
    " reclass=0.1)",
    ("ground", "light"),
)
THREE_LIGHTS = dataclasses.replace(LIGHTS, name="three_lights", labels=("ground", "light", "none"))
SQUARES = task(
    "squares",
    "ssdlite(maps=1, finest=4, coarsest=4, smallest=0.3, largest=0.3)",
    ("lit", "dark"),
)
HEMISPHERE = task("hemisphere", "classification", ("southern", "northern"), inputs={"place": (3,)})
