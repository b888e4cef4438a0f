"""Fashion-MNIST: clothes, 28x28 pixels, white on black.

Licence: MIT (Zalando SE; Debian's package dataset-fashion-mnist).
Sizes: 70,000 grey images of 10 classes, no two alike: the published 10,000 to test; of the
  published 60,000 to train, 51,000 train and 9,000 validate.
Command: launch/train --tasks=pocket_decathlon
Expected: 83 to 88 % on test, by one run measured.
Reference: Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747.
"""

import gzip
from collections.abc import Iterator

import numpy as np
from PIL import Image

from adapters import carriers
from tasks import cutting, registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

FASHION_MNIST = carriers.Carrier(
    registry="apt",
    package="dataset-fashion-mnist",
    version="0.0~git20200523.55506a9-1",
    filename="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    licence="MIT",
    contents="pictures of clothes",
)
_FOLDER = "usr/share/datasets/fashion-mnist/"


def examples() -> Iterator[Example]:
    """Yields all pictures."""
    packed = dict(carriers.iterate_members(carriers.fetch(FASHION_MNIST), prefix=_FOLDER))
    unique = splitting.without_duplicates([*_part(packed, "t10k"), *_part(packed, "train")])
    official = [candidate for candidate in unique if candidate.name.startswith("t10k")]
    yield from (Example("test", one.name, one.image, one.label) for one in official)
    rest = [candidate for candidate in unique if candidate.name.startswith("train")]
    cut = cutting.cut_by_hash(rest, lambda one: one.name, fractions=(0.85, 0.15, 0.0))
    for split in ("train", "validation"):
        yield from (Example(split, one.name, one.image, one.label) for one in cut[split])


def _part(packed: dict[str, bytes], part: str) -> Iterator[splitting.Candidate]:
    """Reads MNIST's format: a header of 16 bytes (images) or 8 (labels), then bytes."""
    pixels = gzip.decompress(packed[f"{_FOLDER}{part}-images-idx3-ubyte.gz"])
    labels = gzip.decompress(packed[f"{_FOLDER}{part}-labels-idx1-ubyte.gz"])[8:]
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = f"{part}-{row:05d}"
        yield splitting.Candidate(name, name, Image.fromarray(image), label)


registry.register(
    Task(
        name="fashion",
        source=Carried(examples),
        labels=(
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        description=__doc__,
        expected=(0.83, 0.88),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
    )
)
