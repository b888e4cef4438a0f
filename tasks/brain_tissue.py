"""Slices of an average brain, seen by magnetic resonance: ground, fluid, grey or white matter.

Licence: BSD-3-Clause (the package nilearn); the package says that the terms of the template
  (ICBM 152, 2009a, nonlinear, symmetric) are unknown.
Sizes: 110 horizontal slices of 192 x 224 pixels, one a millimetre: 78 to train, 16 to validate, 16
  to test. Blocks of slices are held out, with gaps of 4 mm or more between them. It is one brain,
  the mean of 152: a score says how well its tissues are told apart, not how well anybody else's.
Command: launch/train --tasks=brain_tissue --size=160 --examples=8 --groups=1 --steps=150
Expected: nothing is known yet.
"""

import gzip
import math
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import carriers
from tasks import registry
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

NILEARN = carriers.Carrier(
    registry="pip",
    package="nilearn",
    version="0.14.1",
    filename="nilearn-0.14.1-py3-none-any.whl",
    sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    licence="BSD-3-Clause; of the brain's template, unknown",
    contents="an average brain with its grey and white matter",
)
SIDE = 192
BLOCKS = {
    "train": ((12, 40), (70, 98), (128, 150)),
    "validation": ((46, 54), (104, 112)),
    "test": ((58, 66), (116, 124)),
}
_MEMBER = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
_PART = slice(4, 228), slice(2, 194)  # of a slice: what is left out is empty
_WHOLE = 255  # of a map of tissue: the voxel is of it alone


def examples() -> Iterator[Example]:
    """Yields every slice of the blocks, with the forehead above."""
    head, grey, white = (volume(kind) for kind in ("t1", "gm", "wm"))
    for split, blocks in BLOCKS.items():
        for place in (place for block in blocks for place in range(*block)):
            seen, *maps = (each[place, ::-1][_PART] for each in (head, grey, white))
            yield Example(split, f"{place:03d}", Image.fromarray(seen), tissues(seen, *maps))


def tissues(
    head: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8], white: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Of a slice and its maps [H, W]: 0 where there is no brain, else 1 fluid, 2 grey or 3 white.

    What most of a voxel is of; neither map has fluid, which is what is left.
    """
    known = np.stack([grey, white]).astype(np.int64)
    parts = np.concatenate([np.maximum(_WHOLE - known.sum(axis=0), 0)[None], known])
    return np.where(head == 0, 0, 1 + parts.argmax(axis=0))


def volume(kind: str) -> npt.NDArray[np.uint8]:
    """One of the carrier's volumes, [from below, from behind, from the left], a byte a voxel."""
    data = carriers.read_member(carriers.fetch(NILEARN), _MEMBER.format(kind))
    file = gzip.decompress(data)
    # NIfTI-1: the sides at byte 40, fastest first, and where voxels begin at 108.
    sides = struct.unpack_from("<3h", file, 42)
    (begin,) = struct.unpack_from("<f", file, 108)
    voxels = np.frombuffer(file, np.uint8, math.prod(sides), int(begin))
    return voxels.reshape(sides[::-1])


registry.register(
    Task(
        name="brain_tissue",
        source=Carried(examples, short_side=SIDE),
        labels=("ground", "fluid", "grey matter", "white matter"),
        description=__doc__,
        expected=(0.0, 1.0),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
        head="segmentation",
    )
)
