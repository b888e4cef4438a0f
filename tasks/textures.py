"""Eight surfaces, each cut from one photograph or scan: the easy task of the suite.

Licence: BSD-3-Clause (the package scikit-image; the photographs are mostly CC0 or public domain).
Sizes: blocks of 48x48 pixels that do not overlap, grey, at most 100 of each of 8 classes; 359 to
  train, 120 to validate, 120 to test. A block is in one split only, but all blocks of a class come
  from one picture: the score says little about other pictures of the same material.
Command: launch/train --tasks=pocket
Expected: 98 to 100 % on test.
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from adapters import carriers
from tasks import registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

SCIKIT_IMAGE = carriers.Carrier(
    registry="pip",
    package="scikit-image",
    version="0.26.0",
    filename="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    licence="BSD-3-Clause",
    contents="photographs of surfaces",
    python_version="3.11",
    platform="manylinux_2_28_x86_64",
)
LABELS = ("brick", "cell", "coins", "grass", "gravel", "moon", "page", "text")
BLOCK = 48  # pixels
MOST = 100  # blocks of one class


def examples() -> Iterator[Example]:
    """Yields the blocks of every picture."""
    wheel = carriers.fetch(SCIKIT_IMAGE)
    candidates = []
    for label, name in enumerate(LABELS):
        picture = Image.open(io.BytesIO(carriers.read_member(wheel, f"skimage/data/{name}.png")))
        blocks = _blocks(np.asarray(picture.convert("L")))
        # Evenly spread over the picture, so that no part of it is left out.
        for place in np.linspace(0, len(blocks) - 1, min(MOST, len(blocks))).astype(int):
            row, column, pixels = blocks[place]
            group = f"{name}-{row:02d}-{column:02d}"
            candidates.append(splitting.Candidate(group, group, Image.fromarray(pixels), label))
    unique = splitting.without_duplicates(candidates)
    return splitting.hold_out_groups(unique, fractions=(0.6, 0.2, 0.2))


def _blocks(picture: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    rows, columns = picture.shape[0] // BLOCK, picture.shape[1] // BLOCK
    return [
        (row, column, picture[row * BLOCK :, column * BLOCK :][:BLOCK, :BLOCK])
        for row in range(rows)
        for column in range(columns)
    ]


registry.register(
    Task(
        name="textures",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.98, 1.0),
        augmentation=Augmentation(crop=(0.5, 1.0), flip=True),
    )
)
