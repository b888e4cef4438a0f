"""Scenes made of cut-outs that are pasted on photographs, with the exact box and pixels of each."""

import collections
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from tasks import registry
from tasks.augmentation import Augmentation
from tasks.cutting import cut_by_hash
from tasks.detectors import HEAD, SIDE
from tasks.layout import Carried, Example
from tasks.photographs import cutting, photographs
from tasks.task import Task
from tasks.tiles import boxes_of

SCENES = {"train": 700, "validation": 100, "test": 150}
OBJECTS = (1, 5)  # of a scene, the second never reached
SIDES = (28, 84)  # of an object's longer side, pixels, the second never reached
LEAST_SEEN = 0.67  # of an object, under those that are pasted later
SOLID = 0.5  # of alpha
TRIES = 8  # places for an object


class CutOut(NamedTuple):
    """A thing to paste.

    Attributes:
      group: what must be on one side: the thing it is of, whoever drew it.
      image: RGBA.
      label: the number of its class.
    """

    group: str
    image: Image.Image
    label: int


class Scene(NamedTuple):
    """A photograph with things on it.

    Attributes:
      image: RGB.
      objects: [n, 5], see `tasks.layout.Example`.
      classes: [H, W]; 0 the ground, 1 a thing of the class 0, and so on.
      numbers: [H, W]; 0 the ground, 1 the first object, and so on.
    """

    image: Image.Image
    objects: np.ndarray
    classes: np.ndarray
    numbers: np.ndarray


class Draw(NamedTuple):
    """What a scene is made of.

    Attributes:
      split: that it belongs to.
      name: of the example.
      things: of each class, those that the split has.
      generator: of all that is random in it.
    """

    split: str
    name: str
    things: list[list[CutOut]]
    generator: np.random.Generator


def register_scenes(
    name: str,
    examples: Callable[[], Iterator[Example]],
    labels: tuple[str, ...],
    description: str,
    *,
    flip: bool = False,
) -> Task:
    """Registers the task of finding what lies on scenes, which `flip` lets be mirrored."""
    return registry.register(
        Task(
            name=name,
            source=Carried(examples, short_side=SIDE),
            labels=labels,
            description=description,
            expected=(0.0, 1.0),
            augmentation=Augmentation(crop=(0.5, 1.0), flip=flip),
            head=HEAD,
        )
    )


def scenes(
    name: str,
    cut_outs: Sequence[CutOut],
    label: Callable[[Scene], np.ndarray] = lambda made: made.objects,
) -> Iterator[Example]:
    """Yields the scenes of every split, each with things of its own.

    Args:
      name: of the task: others give other scenes.
      cut_outs: of all splits; each class is cut by its groups.
      label: what is learned of a scene.
    """
    grounds = photographs()
    for split, example, things, generator in drawn(name, cut_outs, SCENES):
        ground = cutting(grounds[generator.integers(len(grounds))], SIDE, generator)
        made = scene(ground, things, generator, OBJECTS, SIDES)
        yield Example(split, example, made.image, label(made))


def drawn(name: str, cut_outs: Iterable[CutOut], numbers: Mapping[str, int]) -> Iterator[Draw]:
    """Yields what the scenes of every split are made of.

    `numbers` says how many there are of each; the other arguments are those of `scenes`.
    """
    groups: dict[int, dict[str, list[CutOut]]] = collections.defaultdict(dict)
    for one in cut_outs:
        groups[one.label].setdefault(one.group, []).append(one)
    cuts = {label: cut_by_hash(sorted(own), str) for label, own in sorted(groups.items())}
    for split, number in numbers.items():
        things = [
            [thing for group in cut[split] for thing in groups[label][group]]
            for label, cut in cuts.items()
        ]
        for place in range(number):
            seed = hashlib.sha256(f"{name} {split} {place}".encode()).digest()
            yield Draw(split, f"{split}-{place:04d}", things, np.random.default_rng(list(seed)))


def scene(
    ground: Image.Image,
    things: Sequence[Sequence[CutOut]],
    generator: np.random.Generator,
    objects: tuple[int, int] = OBJECTS,
    sides: tuple[int, int] = SIDES,
) -> Scene:
    """A photograph with one to four things on it.

    `things` are those of each class; all classes are as frequent. A thing is pasted where it leaves
    two thirds of every older one to be seen; where no place is found, it is left out. `objects` and
    `sides` are as the constants of these names.
    """
    canvas, side = ground.copy(), ground.width
    seen: list[tuple[np.ndarray, int]] = []  # what is left of each, and its whole area
    rows: list[list[float]] = []
    classes, numbers = np.zeros((2, side, side), np.int64)
    for _ in range(generator.integers(*objects)):
        own = things[int(generator.integers(len(things)))]
        thing = own[int(generator.integers(len(own)))]
        pasted = _sized(thing.image, int(generator.integers(*sides)))
        solid = np.asarray(pasted)[..., 3] > 255 * SOLID
        if not solid.any():
            continue
        for _ in range(TRIES):
            left, top = (int(generator.integers(0, side - size + 1)) for size in pasted.size)
            mask = np.zeros((side, side), bool)
            mask[top : top + pasted.height, left : left + pasted.width] = solid
            left_over = [(old & ~mask, area) for old, area in seen]
            if all(old.sum() >= LEAST_SEEN * area for old, area in left_over):
                canvas.paste(pasted, (left, top), pasted)
                classes[mask] = 1 + thing.label
                seen = [*left_over, (mask, int(mask.sum()))]
                (box,) = boxes_of(mask.astype(np.int64))
                rows.append([*(box / side), float(thing.label)])
                numbers[mask] = len(rows)
                break
    return Scene(canvas, np.array(rows, np.float32).reshape(-1, 5), classes, numbers)


def _sized(image: Image.Image, longer: int) -> Image.Image:
    """RGBA without its empty edges, its longer side of so many pixels."""
    cut = image.crop(image.getchannel("A").getbbox() or (0, 0, *image.size))
    scale = longer / max(cut.size)
    return cut.resize(
        (max(1, round(cut.width * scale)), max(1, round(cut.height * scale))),
        Image.Resampling.BILINEAR,
    )
