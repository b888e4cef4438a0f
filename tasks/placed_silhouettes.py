"""Animal silhouettes that come with a place, MADE UP: to tell whether a patch uses it.

Licence: MIT (the package animal-mnist); places are made up.
Sizes: the images and splits of the task `silhouettes`; each example gets a point on the unit
  sphere, drawn from its name. In `silhouettes_by_place` an animal north of the equator is another
  class than the same one south of it, which no pixel tells: without the place, half of the answers
  are wrong. In `silhouettes_anywhere` the place means nothing.
Command: launch/train --tasks=silhouettes_by_place --patch='scale_bias+conditional(reads=place)'
Expected: 90 to 98 % on test with the place, 44 to 52 % without (docs/conditional.md), by three
  seeds measured: 93.4 and 48.4 in 300 steps.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from tasks import registry, silhouettes
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

ANIMALS = silhouettes.TASK.labels
_SIZE = {"place": (3,)}


def anywhere() -> Iterator[Example]:
    """Yields every silhouette with a place."""
    for example in silhouettes.examples():
        yield example._replace(inputs={"place": place(example.name)})


def by_place() -> Iterator[Example]:
    """The same, each animal a class in the north and one in the south."""
    for example in anywhere():
        southern = example.inputs["place"][2] < 0
        assert isinstance(example.label, int)
        yield example._replace(label=2 * example.label + southern)


def place(name: str) -> tuple[float, ...]:
    """A point [3] of the unit sphere, even over it, drawn from `name`."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    point = np.random.default_rng(seed).standard_normal(3)
    return tuple((point / np.linalg.norm(point)).tolist())


registry.register(
    Task(
        name="silhouettes_by_place",
        source=Carried(by_place),
        labels=tuple(
            f"{where} {animal}" for animal in ANIMALS for where in ("northern", "southern")
        ),
        description=__doc__,
        expected=(0.90, 0.98),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
        inputs=_SIZE,
    )
)
registry.register(
    Task(
        name="silhouettes_anywhere",
        source=Carried(anywhere),
        labels=ANIMALS,
        description=__doc__,
        expected=(0.955, 0.985),
        background=(0, 0, 0),
        augmentation=Augmentation(flip=True),
        inputs=_SIZE,
    )
)
