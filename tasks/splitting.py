"""Cutting a carrier's images into training, validation and test so that nothing is on two sides."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from PIL import Image

from tasks.copies import find_copies
from tasks.cutting import FRACTIONS, cut_by_hash
from tasks.layout import Example
from tasks.task import TaskError


class Candidate(NamedTuple):
    """An image before it is given a split. Those of one class and `group` stay together.

    `label`, `inputs` and `file` are those of `tasks.layout.Example`.
    """

    group: str
    name: str
    image: Image.Image
    label: int | tuple[float, ...]
    inputs: Mapping[str, tuple[float, ...]] = {}
    file: bytes | None = None


def without_duplicates(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Keeps the first of images with identical pixels; none where their labels contradict."""
    known = list(candidates)
    digests = [_pixel_digest(candidate.image) for candidate in known]
    kept = find_copies(digests, [candidate.label for candidate in known]).kept
    return [known[place] for place in kept]


def hold_out_groups(
    candidates: Iterable[Candidate], fractions: Sequence[float] = FRACTIONS
) -> Iterator[Example]:
    """Gives every candidate a split, whole groups at a time, class by class.

    The groups of a class are cut by `cut_by_hash`, so that every class is in every split; where a
    label is numbers, for other heads than a classifier, all groups are cut alike. Remove duplicates
    first. Raises TaskError for a class with fewer than three groups.
    """
    members: dict[Any, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in candidates:
        one = "of numbers" if isinstance(candidate.label, tuple) else candidate.label
        members[one][candidate.group].append(candidate)
    for one, groups in sorted(members.items()):
        if len(groups) < 3:
            raise TaskError(f"class {one} has {len(groups)} groups of images; three are needed.")
        for split, names in cut_by_hash(list(groups), str, fractions).items():
            for name in names:
                for candidate in groups[name]:
                    known = candidate._asdict()
                    del known["group"]
                    yield Example(split, **known)


def _pixel_digest(image: Image.Image) -> bytes:
    palette = image.getpalette() if image.mode == "P" else None
    header = repr((image.mode, image.size, palette, image.info.get("transparency")))
    return hashlib.sha256(header.encode() + image.tobytes()).digest()
