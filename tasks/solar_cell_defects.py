"""ELPV: how probably a solar cell is defective, a number from 0 to 1.

Licence: CC BY-NC-SA 4.0: NOT for commercial use (the package elpv-dataset).
Sizes: 2,624 grey images of 300x300 pixels, shrunk to 72 unless the network sees larger ones: all
  that the task `solar_cells` has and those whose label is not certain. The number is what an expert
  said: 0, 1/3, 2/3 or 1. 1,838 to train, 393 to validate, 393 to test.
Command: launch/train --tasks=icon_categories,solar_cell_defects --steps=800
Expected: an R^2 of 0.38 to 0.53 on test, by one run measured: 0.46.
Reference: as for the task `solar_cells`.
"""

from collections.abc import Iterator

from tasks import registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.solar_cells import cells
from tasks.task import Task


def examples() -> Iterator[Example]:
    """Yields every cell; those of one probability are cut alike."""
    candidates = [
        splitting.Candidate(cell.path, cell.path, cell.image, (cell.probability,), file=cell.file)
        for cell in cells()
    ]
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


registry.register(
    Task(
        name="solar_cell_defects",
        source=Carried(examples),
        labels=("defective",),
        description=__doc__,
        expected=(0.38, 0.53),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
        head="regression(unit=probability)",
    )
)
