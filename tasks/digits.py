"""Handwritten digits, 8x8 pixels: the smallest real task, for a first run.

Licence: BSD-3-Clause (scikit-learn's package; the data come from UCI's Optical Recognition of
  Handwritten Digits).
Sizes: 1,797 grey images of 10 classes: 1,259 to train, 269 to validate, 269 to test; no two alike.
  The package does not say who wrote which digit, so one writer's digits are in every split.
Command: launch/train --tasks=pocket
Expected: 98.5 to 100 % on test.
"""

import gzip
import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from adapters import carriers
from tasks import registry, splitting
from tasks.layout import Carried, Example
from tasks.task import Task

SCIKIT_LEARN = carriers.Carrier(
    registry="pip",
    package="scikit-learn",
    version="1.9.1",
    filename="scikit_learn-1.9.1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256="52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    licence="BSD-3-Clause",
    contents="handwritten digits",
    python_version="3.11",
    platform="manylinux_2_28_x86_64",
)


def examples() -> Iterator[Example]:
    """Yields all digits; a row of the table holds 64 grey values in 0..16, then the label."""
    packed = carriers.read_member(
        carriers.fetch(SCIKIT_LEARN), "sklearn/datasets/data/digits.csv.gz"
    )
    table = np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.int64)
    candidates = [
        splitting.Candidate(
            group=str(row),
            name=f"{row:04d}",
            image=Image.fromarray((values[:64].reshape(8, 8) * 255 // 16).astype(np.uint8)),
            label=int(values[64]),
        )
        for row, values in enumerate(table)
    ]
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


registry.register(
    Task(
        name="digits",
        source=Carried(examples),
        labels=tuple("0123456789"),
        description=__doc__,
        expected=(0.985, 1.0),
        background=(0, 0, 0),
    )
)
