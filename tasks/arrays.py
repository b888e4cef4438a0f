"""Images that are in memory already, with a label each, as a task's source."""

import dataclasses
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters import errors
from tasks.copies import Copies, find_copies
from tasks.cutting import FRACTIONS, SPLITS, cut_by_hash, fractions_fault
from tasks.inventory import Inventory, count


class ArraysError(errors.ModelPatchError):
    """Arrays that are no images and labels, or too few of them to learn and to measure."""


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """A source whose images are in memory.

    Attributes:
      images: uint8 [N, H, W, 3].
      target: what the head learns is called in an example.
      labels: [N] int32, the number of each image's class; or float32 [N, outputs].
      members: which images each split has, by their place.
      inputs: {name: float32 [N, ...]}, what comes with each image.
      found: what was found among them.
    """

    images: npt.NDArray[np.uint8]
    target: str
    labels: npt.NDArray[Any]
    members: Mapping[str, Sequence[int]]
    inputs: Mapping[str, npt.NDArray[np.float32]]
    found: Inventory

    def inventory(self) -> Inventory:
        """Which images are used, and which are others again."""
        return self.found

    def open(self, task: object, split: str, data_dir: str | None) -> "_Split":
        """Opens a split; nothing is copied."""
        del task, data_dir
        return _Split(self, self.members[split])


class _Split:
    def __init__(self, source: Arrays, members: Sequence[int]):
        self._source, self._members = source, members

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        place, own = self._members[index], self._source
        label = own.labels[place]
        return {
            "name": str(place),
            "image": own.images[place],
            own.target: label if own.labels.ndim > 1 else int(label),
            **{name: values[place] for name, values in own.inputs.items()},
        }

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))


def source(
    images: npt.ArrayLike,
    labels: Sequence[Any] | npt.ArrayLike,
    fractions: Sequence[float] | None = None,
    outputs: Sequence[str] = (),
    target: str = "label",
    inputs: Mapping[str, npt.ArrayLike] | None = None,
) -> tuple[Arrays, tuple[str, ...], tuple[str, ...]]:
    """A source of these images, what the head's outputs are called, and the splits.

    Of images with the same pixels the first is kept, and none where their labels contradict; an
    InventoryWarning says so. Each class is cut by the hash of its images' pixels, so that the same
    ones are held out on every machine, in whatever order they come. Where labels are numbers for
    each output, all images are cut alike.

    Args:
      images: uint8 [N, H, W, 3]; not copied, so leave them as they are.
      labels: N whole numbers or texts, the names of classes; numbers are sorted as numbers. With
        `outputs`, numbers [N, outputs].
      fractions: of each class to train, validate and test on, `FRACTIONS` by default; the last may
        be 0, for no test split.
      outputs: names of what the numbers are; none for classes.
      target: what the head learns is called.
      inputs: {name: numbers [N, ...]} that come with each image.

    Raises ArraysError.
    """
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3 or not pixels.size:
        raise ArraysError(
            f"images are {pixels.dtype} {list(pixels.shape)}; give uint8 [N, H, W, 3]: N images in "
            "RGB, from 0 to 255."
        )
    numbers: npt.NDArray[Any]
    groups: tuple[str, ...]
    others = {name: _numbers(name, own, len(pixels)) for name, own in (inputs or {}).items()}
    if outputs:
        names, numbers = tuple(outputs), _numbers("labels", labels, len(pixels))
        if numbers.shape != (len(pixels), len(names)):
            raise ArraysError(
                f"labels are numbers {list(numbers.shape)}; for {len(names)} outputs of "
                f"{len(pixels)} images give [{len(pixels)}, {len(names)}]."
            )
        groups, groups_of = ("all",), np.zeros(len(pixels), np.int32)
    else:
        names, numbers = _classes(labels, len(pixels))
        groups, groups_of = names, numbers
    parts = _checked(FRACTIONS if fractions is None else fractions)
    splits = SPLITS if parts[2] else SPLITS[:2]
    copies, digests = _copies(pixels, [numbers, *others.values()])
    kept: dict[str, list[int]] = {name: [] for name in groups}
    for place in copies.kept:
        kept[groups[groups_of[place]]].append(place)
    members: dict[str, list[int]] = {split: [] for split in splits}
    used: dict[str, dict[str, int]] = {split: {} for split in splits}
    for name, own in kept.items():
        cut = cut_by_hash(own, digests.__getitem__, parts) if len(own) >= len(splits) else {}
        if not all(cut.get(split) for split in splits):
            raise ArraysError(
                f"class {name!r} has {count(len(own), 'different image')}, too few for each of "
                f"{', '.join(splits)}: give more of them, or other fractions than {parts}."
            )
        for split in splits:
            members[split] += cut[split]
            used[split][name] = len(cut[split])
    inventory = _inventory(used, copies)
    for said in inventory.warnings():
        warnings.warn(said, stacklevel=2)
    return Arrays(pixels, target, numbers, members, others, inventory), names, splits


def _numbers(name: str, values: Any, count: int) -> npt.NDArray[np.float32]:
    """What is a number for each image, or several: float32 [N, ...]."""
    given = np.asarray(values)
    if given.dtype.kind not in "iufb" or given.ndim < 2 or len(given) != count:
        raise ArraysError(
            f"{name} are {given.dtype} {list(given.shape)}; give numbers [{count}, ...], a row an "
            "image."
        )
    if not np.isfinite(given).all():
        raise ArraysError(f"{name} hold a number that is not finite.")
    return given.astype(np.float32)


def _classes(
    labels: Sequence[Any] | npt.ArrayLike, count: int
) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """The sorted names of the classes, and the number of each label's [N]."""
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iuU":
        raise ArraysError(
            f"labels are {given.dtype} {list(given.shape)}; give one whole number or text an image."
        )
    if len(given) != count:
        raise ArraysError(f"there are {count} images and {len(given)} labels; give one an image.")
    values, numbers = np.unique(given, return_inverse=True)
    if len(values) < 2:
        raise ArraysError(f"all labels are {str(values[0])!r}; give two classes or more.")
    return tuple(map(str, values)), numbers.astype(np.int32)


def _checked(fractions: Sequence[float]) -> tuple[float, float, float]:
    parts = tuple(float(part) for part in fractions)
    if fault := fractions_fault(parts):
        raise ArraysError(f"fractions are {parts}; give {fault}.")
    return parts[0], parts[1], parts[2]


def _copies(
    pixels: npt.NDArray[np.uint8], known: Sequence[npt.NDArray[Any]]
) -> tuple[Copies, list[str]]:
    """Which images are others again, and the digests of their pixels.

    `known` is what has to agree where pixels are the same.
    """
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
    labels = [tuple(own[place].tobytes() for own in known) for place in range(len(pixels))]
    return find_copies(digests, labels), digests


def _inventory(used: Mapping[str, Mapping[str, int]], copies: Copies) -> Inventory:
    def names(groups: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[f"image {place}" for place in own] for own in groups]

    return Inventory(used, copies=names(copies.copies), contradictions=names(copies.contradictions))
