"""ELPV: solar cells photographed by the light they emit, whole or defective.

Licence: CC BY-NC-SA 4.0: NOT for commercial use (the package elpv-dataset).
Sizes: of 2,624 grey images of 300x300 pixels, shrunk to 72 unless the network sees larger ones, the
  2,223 whose label is certain, in 4 classes; 1,557 to train, 333 to validate, 333 to test. The
  package does not say which cells belong to one module.
Command: launch/train --tasks=pocket_decathlon
Expected: 78 to 86 % on test, by one run measured.
Reference: Deitsch et al., "Automatic classification of defective photovoltaic module cells in
  electroluminescence images", 2019, doi:10.1016/j.solener.2019.02.067.
"""

import io
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from adapters import carriers, preprocessing
from tasks import layout, registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

ELPV = carriers.Carrier(
    registry="pip",
    package="elpv-dataset",
    version="1.0.0.post1",
    filename="elpv_dataset-1.0.0.post1-py3-none-any.whl",
    sha256="85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
    licence="CC BY-NC-SA 4.0, not for commercial use",
    contents="photographs of solar cells",
)
LABELS = ("mono, whole", "mono, defective", "poly, whole", "poly, defective")
_FOLDER = "elpv_dataset/data/"


class Cell(NamedTuple):
    """A photograph, P(defective) as 0, 1/3, 2/3 or 1, `mono` or `poly` silicon, and the file."""

    path: str
    image: Image.Image
    probability: float
    silicon: str
    file: bytes


def cells() -> Iterator[Cell]:
    """Yields all cells; a line of the package's table reads: path, P(defective), silicon."""
    wheel = carriers.fetch(ELPV)
    table = carriers.read_member(wheel, f"{_FOLDER}labels.csv").decode()
    known = {path: rest for path, *rest in map(str.split, table.splitlines())}
    for member, data in carriers.iterate_members(wheel, f"{_FOLDER}images/", ".png"):
        path = member.removeprefix(_FOLDER)
        probability, silicon = known[path]
        image = preprocessing.shrink(Image.open(io.BytesIO(data)).convert("L"), layout.SHORT_SIDE)
        yield Cell(path, image, float(probability), silicon, data)


def examples() -> Iterator[Example]:
    """Yields the cells of certain label."""
    candidates = []
    for cell in cells():
        if cell.probability in (0.0, 1.0):
            state = "defective" if cell.probability else "whole"
            label = LABELS.index(f"{cell.silicon}, {state}")
            candidates.append(
                splitting.Candidate(cell.path, cell.path, cell.image, label, file=cell.file)
            )
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


registry.register(
    Task(
        name="solar_cells",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.78, 0.86),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
    )
)
