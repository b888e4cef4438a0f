"""Images that bring targets of their own, each used once and cut into splits: COCO's, masks'."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import ExifTags, Image

from tasks.copies import find_copies, joined
from tasks.cutting import Cut, cut_groups, needed
from tasks.image_files import ImageFiles
from tasks.inventory import count
from tasks.listing import FolderError, ListedImage
from tasks.looks import alike


class CutImages(NamedTuple):
    """Images by their places.

    Attributes:
      splits: {split: those that it has}.
      faults: {why: names of those that cannot be read}.
      copies: names of the same picture with the same targets; the first one alone is used.
      contradictions: names of the same picture with other targets; none is used.
      alike: names of images that look alike; they are in one split.
    """

    splits: Mapping[str, Sequence[int]]
    faults: Mapping[str, Sequence[str]]
    copies: Sequence[Sequence[str]]
    contradictions: Sequence[Sequence[str]]
    alike: Sequence[Sequence[str]]

    @property
    def used(self) -> set[int]:
        """The places of those in any split."""
        return {place for own in self.splits.values() for place in own}


def cut_images(
    folder: pathlib.Path,
    images: Sequence[ListedImage],
    targets: Sequence[bytes],
    files: ImageFiles,
    how: Cut,
    left_out: Mapping[str, Sequence[str]],
) -> CutImages:
    """Reads the images, finds copies among them, and cuts what is left.

    Args:
      folder: of the images.
      images: those that have targets.
      targets: of each, what has to agree where pixels are the same.
      files: reads the images.
      how: they are cut.
      left_out: {why: names} of others, for the message.

    Raises FolderError where too few are left.
    """
    facts = files.facts(images)
    faults: dict[str, list[str]] = {}
    for image, known in zip(images, facts, strict=True):
        if known.fault:
            faults.setdefault(known.fault.rstrip("."), []).append(image.name)
    readable = [place for place, known in enumerate(facts) if not known.fault]
    copies = find_copies(
        [facts[place].digest for place in readable], [targets[place] for place in readable]
    )

    def names(groups: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[images[readable[number]].name for number in own] for own in groups]

    kept = [readable[number] for number in copies.kept]
    pairs = alike([facts[place].look for place in kept])
    groups = joined(kept, [(kept[one], kept[other]) for one, other in pairs])
    if len(groups) < len(how.splits):
        groups = [[place] for place in kept]
    if len(groups) < len(how.splits):
        others = {**left_out, **faults}
        raise FolderError(
            f"{folder} has {count(len(groups), 'different image')} that can be used, and needs "
            f"{needed(how.splits)}. Of others: "
            f"{', '.join(f'{len(own)} {why}' for why, own in others.items()) or 'nothing'}."
        )
    cut = cut_groups(groups, lambda place: how.key(images[place].name), how.fractions)
    return CutImages(
        splits={split: cut[split] for split in how.splits},
        faults=faults,
        copies=names(copies.copies),
        contradictions=names(copies.contradictions),
        alike=[[images[place].name for place in own] for own in groups if len(own) > 1],
    )


def seen_size(path: pathlib.Path) -> tuple[int, int]:
    """Width and height of an image as it is seen: turned as the camera was held."""
    with Image.open(path) as opened:
        width, height = opened.size
        turned = opened.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)
