"""Animal silhouettes, 28x28 pixels, white on black (zebras keep their stripes).

Licence: MIT (the package animal-mnist).
Sizes: 10,000 grey images of 10 classes, of which 284 repeat another and are dropped; 6,798 to
  train, 1,459 to validate, 1,459 to test. Outlines that differ by a few pixels may remain on two
  sides. The package numbers its classes without naming them: the names are ours, given by look.
Command: launch/train --tasks=pocket
Expected: 95.5 to 98.5 % on test.
"""

import gzip
import io
from collections.abc import Iterator

from PIL import Image

from adapters import carriers, pickles
from tasks import registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

ANIMAL_MNIST = carriers.Carrier(
    registry="pip",
    package="animal-mnist",
    version="0.4",
    filename="animal_mnist-0.4-py3-none-any.whl",
    sha256="aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
    licence="MIT",
    contents="animal silhouettes",
)
_PREFIX = "animal_mnist/data/Animal_MNIST/animal"


def examples() -> Iterator[Example]:
    """Yields all silhouettes."""
    wheel = carriers.fetch(ANIMAL_MNIST)
    pixels, labels = (
        pickles.load_array(io.BytesIO(gzip.decompress(carriers.read_member(wheel, name))))
        for name in (f"{_PREFIX}_data_version_3.gz", f"{_PREFIX}_label_version_3.gz")
    )
    candidates = [
        splitting.Candidate(str(row), f"{row:05d}", Image.fromarray(image), int(label))
        for row, (image, label) in enumerate(zip(pixels, labels, strict=True))
    ]
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


TASK = registry.register(
    Task(
        name="silhouettes",
        source=Carried(examples),
        labels=(
            "bear",
            "bird",
            "cat",
            "cow",
            "dog",
            "elephant",
            "giraffe",
            "horse",
            "sheep",
            "zebra",
        ),
        description=__doc__,
        expected=(0.955, 0.985),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
    )
)
