"""Open Clip Art: drawings of things, to be told apart by subject.

Licence: public domain (Debian's package openclipart-png).
Sizes: shrunk to a short side of 72 pixels unless the network sees larger ones, on white; 12
  subjects, at most 400 drawings each. Drawings whose names differ only in a number are in one
  split: 1,650 to train, 365 to validate, 422 to test.
Command: launch/train --tasks=pocket_decathlon
Expected: 48 to 57 % on test, by one run measured; the folders were filled by many hands.
"""

import hashlib
import re
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from adapters import carriers, preprocessing
from tasks import layout, registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

OPEN_CLIP_ART = carriers.Carrier(
    registry="apt",
    package="openclipart-png",
    version="1:0.18+dfsg-19",
    filename="openclipart-png_1%3a0.18+dfsg-19_all.deb",
    sha256="f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
    licence="public domain",
    contents="drawings",
)
LABELS = (
    "animals",
    "buildings",
    "education",
    "food",
    "geography",
    "office",
    "people",
    "plants",
    "recreation",
    "signs_and_symbols",
    "tools",
    "transportation",
)
MOST = 400  # drawings of one subject
LARGEST = 4_000_000  # pixels; a few drawings are far larger
_FOLDER = "usr/share/openclipart/png/"


def examples() -> Iterator[Example]:
    """Yields `MOST` drawings of each subject, chosen by a hash of their names."""
    candidates = []
    for member, data in carriers.iterate_members(carriers.fetch(OPEN_CLIP_ART), _FOLDER, ".png"):
        name = member.removeprefix(_FOLDER)
        subject = name.split("/")[0]
        if subject in LABELS and (image := _drawing(data)) is not None:
            group = re.sub(r"[\d_ -]+$", "", name.removesuffix(".png"))
            candidates.append(
                splitting.Candidate(group, name, image, LABELS.index(subject), file=data)
            )
    unique = splitting.without_duplicates(candidates)
    unique.sort(key=lambda one: hashlib.sha256(one.name.encode()).digest())
    for label in range(len(LABELS)):
        of_label = [candidate for candidate in unique if candidate.label == label]
        yield from splitting.hold_out_groups(of_label[:MOST])


def _drawing(data: bytes) -> Image.Image | None:
    """Returns a drawing, or None for one that is too large, or blank on white."""
    # A PNG's header tells its size; Pillow would warn of the largest before it said it.
    width, height = struct.unpack(">II", data[16:24])
    if width * height > LARGEST:
        return None
    image = preprocessing.decode(data, shrink_to=layout.SHORT_SIDE)
    return image if np.ptp(np.asarray(image)) > 0 else None


registry.register(
    Task(
        name="clip_art",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.48, 0.57),
        fit="pad",
        augmentation=Augmentation(flip=True),
    )
)
