"""What a task's images are: which are used, which are left out and why, which are others again."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 3
"""Names that a message tells; the record has all."""


class InventoryWarning(UserWarning):
    """Something about a task's images that its figures have to be read with."""


class UnreadableImageWarning(InventoryWarning):
    """Images are left out because they cannot be read; the message names them."""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What was found among the images of a task, wherever they come from. Names are theirs there.

    Attributes:
      used: {split: {label: how many are used}}, every label in every split.
      left_out: {why: names}, of files and folders that are not used, but for copies.
      unreadable: those of `left_out` that are about images which cannot be read.
      quiet: those of `left_out` of which nobody has to be told.
      copies: names of the same picture, pixel by pixel; the first one alone is used.
      contradictions: names of the same picture with different labels; none is used.
      alike: names of images of one label that look alike; they are in one split.
      parted: names of two images that look alike, in different splits or of different labels.
      empty: folders that should be classes, with the kinds of unread images in them, if any.
      noted: {what is odd: names}, of what is used all the same.
      counted: what `used` counts.
    """

    used: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    quiet: frozenset[str] = frozenset()
    copies: Sequence[Sequence[str]] = ()
    contradictions: Sequence[Sequence[str]] = ()
    alike: Sequence[Sequence[str]] = ()
    parted: Sequence[Sequence[str]] = ()
    empty: Sequence[tuple[str, str]] = ()
    noted: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    counted: str = "images"

    @property
    def lacking(self) -> dict[str, list[str]]:
        """{split: labels of which it has no image}, for splits that lack any."""
        missing = {
            split: [label for label, number in own.items() if not number]
            for split, own in self.used.items()
        }
        return {split: labels for split, labels in missing.items() if labels}

    def to_json(self) -> dict[str, Any]:
        """Returns a mapping for `json.dumps`: all that is known, names and all."""
        return {
            "used": {split: dict(own) for split, own in self.used.items()},
            "left_out": {why: list(names) for why, names in self.left_out.items()},
            "copies": [list(names) for names in self.copies],
            "contradictions": [list(names) for names in self.contradictions],
            "alike": [list(names) for names in self.alike],
            "parted": [list(names) for names in self.parted],
            "empty": [name for name, _ in self.empty],
            "noted": {what: list(names) for what, names in self.noted.items()},
            "lacking": self.lacking,
        }

    @property
    def summary(self) -> str:
        """One line: how many images each split has, and what was left out."""
        sizes = ", ".join(
            f"{sum(own.values()):,} {'training' if split == 'train' else split}"
            for split, own in self.used.items()
        )
        out = [
            (sum(len(names) - 1 for names in self.copies), "(copies)"),
            (sum(map(len, self.contradictions)), "(several labels)"),
            *((len(names), f"({why})") for why, names in self._told()),
        ]
        said = ", ".join(f"{number:,} {what}" for number, what in out if number)
        near = sum(map(len, self.alike))
        beside = f"; {near:,} of them look like others, which share their split" if near else ""
        left_out = f"; left out: {said}" if said else ""
        odd = ", ".join(f"{len(names):,} ({what})" for what, names in self.noted.items())
        noted = f"; noted: {odd}" if odd else ""
        return f"{sizes} {self.counted}{beside}{left_out}{noted}"

    def warnings(self) -> list[InventoryWarning]:
        """What a user has to know before training."""
        said: list[InventoryWarning] = []
        for why, names in self._told():
            kind = UnreadableImageWarning if why in self.unreadable else InventoryWarning
            said.append(kind(f"{some(names)} left out: {why}"))
        if self.copies:
            number = sum(len(names) - 1 for names in self.copies)
            examples = [f"{names[1]} = {names[0]}" for names in self.copies]
            said.append(
                InventoryWarning(
                    f"{count(number, 'image')} {'is' if number == 1 else 'are'} left out as "
                    f"{'a copy' if number == 1 else 'copies'} of others, pixel by pixel: "
                    f"{few(examples)}"
                )
            )
        if self.contradictions:
            examples = [few(names, " = ") for names in self.contradictions]
            said.append(
                InventoryWarning(
                    f"{count(len(examples), 'picture')} with several labels "
                    f"{'is' if len(examples) == 1 else 'are'} left out: {few(examples)}"
                )
            )
        if self.parted:
            examples = [" and ".join(names) for names in self.parted]
            said.append(
                InventoryWarning(
                    "images that look alike are in different splits or classes; where they are "
                    f"copies, scores are too good or too bad: {few(examples)}"
                )
            )
        for name, kinds in self.empty:
            what = f"no image that can be read ({kinds})" if kinds else "no image"
            said.append(InventoryWarning(f"the folder {name} holds {what}, and gives no class"))
        learned = {label for label, number in self.used["train"].items() if number}
        for split, lacking in self.lacking.items():
            if labels := [label for label in lacking if label in learned]:
                said.append(
                    InventoryWarning(
                        f"{split} has no image of {few(labels)}: its scores say nothing of "
                        f"{'it' if len(labels) == 1 else 'them'}"
                    )
                )
        return said

    def _told(self) -> list[tuple[str, Sequence[str]]]:
        return [(why, names) for why, names in self.left_out.items() if why not in self.quiet]


def count(number: int, what: str) -> str:
    """A number of things, in words that agree with it."""
    more = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else more}"


def listed(texts: Sequence[str], what: str) -> str:
    """How many things of one kind there are, and what the first are called."""
    return f"{count(len(texts), what)} ({few(texts)})"


def few(texts: Sequence[str], between: str = ", ") -> str:
    """The first of some texts, and how many there are more."""
    rest = len(texts) - SHOWN
    return between.join(texts[:SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def some(names: Sequence[str]) -> str:
    """The subject of a sentence: the first of some names, with its verb."""
    return f"{few(names)} {'is' if len(names) == 1 else 'are'}"
