"""Rendered scenes: Tux Paint's cut-out things on two surfaces, each segment of its own.

Licence: GPL-2 (Debian's package tuxpaint-stamps-default); surfaces: BSD-3-Clause (the package
  scikit-image; the photographs are mostly CC0 or public domain).
Sizes: 950 scenes of 192 x 192 pixels, two surfaces side by side with up to four things on them; 700
  to train, 100 to validate, 150 to test. Of each surface, a region of its one picture is held out,
  with a gap before it; of things, files, and with a file all others of the same thing.
Command: launch/train --tasks=stamps_on_surfaces --size=64 --groups=1 --steps=600
Expected: nothing is known yet.
"""

import io
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from adapters import carriers
from adapters.heads.contract import MOST_OF_CLASS
from tasks import registry
from tasks.augmentation import Augmentation
from tasks.detectors import SIDE
from tasks.layout import Carried, Example
from tasks.photographs import cutting
from tasks.scenes import SCENES, drawn, scene
from tasks.stamp_scenes import CHOSEN, cut_outs
from tasks.task import Task
from tasks.textures import SCIKIT_IMAGE

SURFACES = ("brick", "cell", "grass", "gravel", "moon")
ROWS = {"train": (0.0, 0.58), "validation": (0.61, 0.79), "test": (0.82, 1.0)}
"""Of a surface's picture, in parts of its height."""


def examples() -> Iterator[Example]:
    """Yields the scenes, with the segment of each pixel."""
    regions = _regions()
    for split, name, things, generator in drawn("stamps_on_surfaces", cut_outs(), SCENES):
        ground, surface = _ground(regions[split], generator)
        made = scene(ground, things, generator)
        labels = np.concatenate([[0], made.objects[:, 4]]).astype(np.int64)[made.numbers]
        thing = (len(SURFACES) + labels) * MOST_OF_CLASS + made.numbers - 1
        segments = np.where(made.numbers == 0, surface * MOST_OF_CLASS, thing)
        yield Example(split, name, made.image, segments)


def _regions() -> Mapping[str, list[Image.Image]]:
    """Of each split, its region of each surface, in RGB."""
    wheel = carriers.fetch(SCIKIT_IMAGE)
    found: dict[str, list[Image.Image]] = {split: [] for split in ROWS}
    for name in SURFACES:
        data = carriers.read_member(wheel, f"skimage/data/{name}.png")
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        for split, rows in ROWS.items():
            top, bottom = (round(part * picture.height) for part in rows)
            found[split].append(picture.crop((0, top, picture.width, bottom)))
    return found


def _ground(
    surfaces: list[Image.Image], generator: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """Two surfaces side by side or one above the other, and which is where, [SIDE, SIDE]."""
    first, second = (int(number) for number in generator.permutation(len(surfaces))[:2])
    numbers = np.full((SIDE, SIDE), first)
    edge = int(generator.integers(SIDE // 4, SIDE - SIDE // 4))
    numbers[edge:] = second
    if generator.random() < 0.5:
        numbers = numbers.T
    ground = cutting(surfaces[first], SIDE, generator)
    other = cutting(surfaces[second], SIDE, generator)
    ground.paste(other, mask=Image.fromarray(numbers == second))
    return ground, numbers


registry.register(
    Task(
        name="stamps_on_surfaces",
        source=Carried(examples, short_side=SIDE),
        labels=(*SURFACES, *CHOSEN),
        description=__doc__,
        expected=(0.0, 1.0),
        augmentation=Augmentation(crop=(0.5, 1.0), flip=True),
        head=f"panoptic(stuff={len(SURFACES)})",
    )
)
