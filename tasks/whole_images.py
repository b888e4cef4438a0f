"""Images of which something is said, each used once and cut into splits: COCO's, masks'."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

from tasks.annotated_examples import Own
from tasks.copies import find_copies, joined
from tasks.cutting import Cut, cut_groups, needed
from tasks.image_files import ImageFiles
from tasks.inventory import Inventory, count
from tasks.listing import FolderError
from tasks.looks import alike


def cut_images(
    folder: pathlib.Path,
    images: Sequence[Own],
    files: ImageFiles,
    how: Cut,
    left_out: Mapping[str, Sequence[str]],
    counts: Callable[[Sequence[Own]], Mapping[str, int]],
    counted: str,
) -> tuple[dict[str, list[Own]], Inventory]:
    """Reads the images, finds copies among them, and cuts what is left.

    Returns the images of each split, and what was found. Of copies of which the same is said, one
    is used; of which other things are said, none.

    Args:
      folder: of the images.
      images: those of which something is said.
      files: reads the images.
      how: they are cut.
      left_out: {why: names} of others.
      counts: {label: how many some images have}.
      counted: what that counts, in words.

    Raises FolderError where too few are left.
    """
    facts = files.facts([image.file for image in images])
    faults: dict[str, list[str]] = {}
    for image, known in zip(images, facts, strict=True):
        if known.fault:
            faults.setdefault(known.fault.rstrip("."), []).append(image.file.name)
    readable = [place for place, known in enumerate(facts) if not known.fault]
    copies = find_copies(
        [facts[place].digest for place in readable], [images[place].said for place in readable]
    )

    def names(groups: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[images[readable[number]].file.name for number in own] for own in groups]

    kept = [readable[number] for number in copies.kept]
    pairs = alike([facts[place].look for place in kept])
    groups = joined(kept, [(kept[one], kept[other]) for one, other in pairs])
    if len(groups) < len(how.splits):
        groups = [[place] for place in kept]
    others = {**left_out, **faults}
    if len(groups) < len(how.splits):
        raise FolderError(
            f"{folder} has {count(len(groups), 'different image')} that can be used, and needs "
            f"{needed(how.splits)}. Of others: "
            f"{', '.join(f'{len(own)} {why}' for why, own in others.items()) or 'nothing'}."
        )
    cut = cut_groups(groups, lambda place: how.key(images[place].file.name), how.fractions)
    found = {split: [images[place] for place in cut[split]] for split in how.splits}
    return found, Inventory(
        used={split: counts(own) for split, own in found.items()},
        left_out=others,
        unreadable=frozenset(faults),
        copies=names(copies.copies),
        contradictions=names(copies.contradictions),
        alike=[[images[place].file.name for place in own] for own in groups if len(own) > 1],
        counted=counted,
    )
