"""Rendered scenes: the outlines of Tux Paint's cut-out things on photographs, pixel by pixel.

Licence: GPL-2 (Debian's package tuxpaint-stamps-default); photographs: GPL-2+ (Debian's package
  mate-backgrounds) and BSD-3-Clause (the package scikit-image).
Sizes: 950 scenes of 192 x 192 pixels with up to four things on a photograph; 700 to train, 100 to
  validate, 150 to test. Files are held out, and with a file all others of the same thing.
Command: launch/train --tasks=stamp_masks --size=160 --examples=8 --groups=1 --steps=600
Expected: nothing is known yet.
"""

from collections.abc import Iterator

from tasks import registry
from tasks.augmentation import Augmentation
from tasks.detectors import SIDE
from tasks.layout import Carried, Example
from tasks.scenes import scenes
from tasks.stamp_scenes import CHOSEN, cut_outs
from tasks.task import Task


def examples() -> Iterator[Example]:
    """Yields the scenes, with the class of each pixel."""
    return scenes("stamp_masks", cut_outs(), lambda made: made.classes)


registry.register(
    Task(
        name="stamp_masks",
        source=Carried(examples, short_side=SIDE),
        labels=("ground", *CHOSEN),
        description=__doc__,
        expected=(0.0, 1.0),
        augmentation=Augmentation(crop=(0.5, 1.0), flip=True),
        head="segmentation",
    )
)
