"""Sorting the images of a folder into splits, each picture once, and saying what was found."""

import itertools
import pathlib
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tasks import listing
from tasks.copies import Copies, find_copies, joined
from tasks.cutting import SPLITS, UNCHANGED, Cut, cut_groups, needed
from tasks.image_files import Facts, ImageFiles
from tasks.inventory import Inventory, count
from tasks.listing import FolderError, ListedImage, Listing
from tasks.looks import alike


class Sorted(NamedTuple):
    """Which images a split has, {split: images}, and what became of the others."""

    images: Mapping[str, Sequence[ListedImage]]
    inventory: Inventory


class Sorter:
    """Sorts what a folder holds, and does it again only when something in it has changed.

    Sent to another process it begins anew.
    """

    def __init__(
        self,
        root: pathlib.Path,
        listed: Callable[[], Listing],
        cut: Cut = UNCHANGED,
    ):
        """`listed` gives what is to be sorted, `cut` how, and names are shown from `root` on."""
        self.files = ImageFiles()
        self._root, self._listed, self._cut = root, listed, cut
        self._last: tuple[Listing, Sorted] | None = None

    def sorted(self) -> Sorted:
        """Reads the files that are new, warns of what is odd, and gives every split.

        Of images with the same pixels one is used: from test rather than validation, and from there
        rather than train, where the folder brings splits; none where their labels contradict. Those
        of a class that look alike stay on one side.

        Raises FolderError where too little is left: of a class to train on, of a split, or of a
        class to cut into splits; and where a split has a class that train has not.
        """
        found = self._listed()
        if self._last is None or self._last[0] != found:
            self._last = found, self._sort(found)
        return self._last[1]

    def _sort(self, found: Listing) -> Sorted:
        facts = self.files.facts(found.images)
        copies = _copies(found, facts)
        split_of, together = _cut(found, copies.kept, facts, self._cut)
        splits = found.splits or self._cut.splits
        images: dict[str, list[ListedImage]] = {split: [] for split in splits}
        for place, split in split_of.items():
            images[split].append(found.images[place])
        faults = defaultdict[str, list[str]](list)
        for image, known in zip(found.images, facts, strict=True):
            if known.fault:
                faults[known.fault.rstrip(".")].append(self._name(image))
        inventory = Inventory(
            used={split: _counts(own, found.labels()) for split, own in images.items()},
            left_out={**_by_reason(found), **faults},
            unreadable=frozenset(faults),
            quiet=frozenset(listing.QUIET),
            copies=self._names(found, copies.copies),
            contradictions=self._names(found, copies.contradictions),
            alike=self._names(found, together),
            parted=self._names(found, _parted(found, split_of, facts)),
            empty=found.empty,
        )
        for said in inventory.warnings():
            warnings.warn(type(said)(f"{self._root.name}: {said}."), stacklevel=2)
        self._check(inventory, found)
        return Sorted(images, inventory)

    def _check(self, inventory: Inventory, found: Listing) -> None:
        labels = set(inventory.used["train"])
        for split in found.splits:
            own = {image.label for image in found.images if image.split == split}
            if own - labels:
                raise FolderError(
                    f"{self._root}: {split} has classes that train has not: {sorted(own - labels)}."
                )
        if missing := inventory.lacking.get("train"):
            raise FolderError(
                f"{self._root}: no image of {', '.join(missing)} is left to train on; the warnings "
                "say what was left out."
            )
        for split, counts in inventory.used.items():
            if not any(counts.values()):
                raise FolderError(
                    f"{self._root}: no image is left for {split}; the warnings say what was left "
                    "out."
                )
        if not found.splits and inventory.lacking:
            label = next(itertools.chain(*inventory.lacking.values()))
            number = sum(counts[label] for counts in inventory.used.values())
            raise FolderError(
                f"{self._root / label} has {count(number, 'different image')}; a class needs "
                f"{needed(self._cut.splits)}."
            )

    def _name(self, image: ListedImage) -> str:
        return listing.shown(image.path, self._root)

    def _names(self, found: Listing, groups: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[self._name(found.images[place]) for place in places] for places in groups]

    def __reduce__(self) -> tuple[Any, ...]:
        return Sorter, (self._root, self._listed, self._cut)


def _cut(
    found: Listing, kept: Sequence[int], facts: Sequence[Facts], how: Cut
) -> tuple[dict[int, str], list[list[int]]]:
    """The split of each image, by class, in a split's order; and those that had to be in one."""
    by_label = defaultdict[str, list[int]](list)
    for place in kept:
        by_label[found.images[place].label].append(place)
    split_of: dict[int, str] = {}
    together: list[list[int]] = []
    for _, places in sorted(by_label.items()):
        if found.splits:
            split_of |= {place: str(found.images[place].split) for place in places}
            continue
        pairs = alike([facts[place].look for place in places])
        groups = joined(places, [(places[one], places[other]) for one, other in pairs])
        if len(groups) < len(how.splits):
            # Looks may deceive: that a class cannot be cut otherwise is no reason to refuse it.
            groups = [[place] for place in places]
        together += [group for group in groups if len(group) > 1]
        cut = cut_groups(groups, lambda place: how.key(_key(found.images[place])), how.fractions)
        split_of |= {place: split for split, own in cut.items() for place in own}
    return split_of, together


def _parted(
    found: Listing, split_of: Mapping[int, str], facts: Sequence[Facts]
) -> list[tuple[int, int]]:
    """Pairs that look alike, of other splits or labels: no more than it takes to link all."""
    places = sorted(split_of)
    pairs = [
        (places[one], places[other])
        for one, other in alike([facts[place].look for place in places])
    ]

    def side(place: int) -> tuple[str, str]:
        return split_of[place], found.images[place].label

    return [(one, other) for one, other in pairs if side(one) != side(other)]


def _copies(found: Listing, facts: Sequence[Facts]) -> Copies:
    """`find_copies` of the images that can be read."""
    places = [place for place, known in enumerate(facts) if not known.fault]

    def rank(number: int) -> tuple[int, int, str]:
        image = found.images[places[number]]
        held_out = SPLITS.index(image.split) if image.split else 0
        return -held_out, len(image.name), image.name  # "cat.png" rather than "cat (1).png"

    among = find_copies(
        [facts[place].digest for place in places],
        [found.images[place].label for place in places],
        rank,
    )

    def placed(groups: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(places[number] for number in own) for own in groups)

    (kept,) = placed([among.kept])
    return Copies(kept, placed(among.copies), placed(among.contradictions))


def _by_reason(found: Listing) -> dict[str, list[str]]:
    reasons = defaultdict[str, list[str]](list)
    for why, name in found.left_out:
        reasons[why].append(name)
    return reasons


def _key(image: ListedImage) -> str:
    """What decides on which side an image is: its name in its class, in composed form."""
    return unicodedata.normalize("NFC", image.name).removeprefix(f"{image.label}/")


def _counts(images: Sequence[ListedImage], labels: Sequence[str]) -> dict[str, int]:
    counted = Counter(image.label for image in images)
    return {label: counted[label] for label in labels}
