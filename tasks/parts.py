"""Data sets that bring splits of their own, and those that lack some."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from adapters import errors
from tasks.cutting import SPLITS, UNCHANGED, Cut, cut_by_hash
from tasks.listing import SPLIT_FOLDERS


class SplitsError(errors.ModelPatchError):
    """A data set whose splits cannot be a task's."""


class Part(NamedTuple):
    """Where a task's split lies in a data set.

    Attributes:
      given: the data set's split.
      split: the task's.
      cut: how the former is cut; None where the two are the same.
    """

    given: str
    split: str
    cut: Cut | None

    def members(self, count: int) -> Sequence[int]:
        """The places of its examples among the `count` of the split that is given."""
        cut = self.cut
        if cut is None:
            return range(count)
        places = range(count)
        return cut_by_hash(places, lambda place: cut.key(str(place)), cut.fractions)[self.split]


def parts(given: Collection[str], cut: Cut, place: str) -> Mapping[str, Part]:
    """The parts of a task, by split, of a data set with the splits `given`.

    What has no validation split holds out some of what trains; a single split is cut into all.
    Raises SplitsError.
    """
    known = {
        SPLIT_FOLDERS[name.casefold()]: name for name in given if name.casefold() in SPLIT_FOLDERS
    }
    if len(given) == 1:
        known = {"train": next(iter(given))}
    listed = ", ".join(given)
    if "train" not in known:
        raise SplitsError(f"{place} has the splits {listed}; one called train is needed.")
    if "validation" in known:
        if cut != UNCHANGED:
            raise SplitsError(f"{place} brings the splits {listed}: leave `split` and `seed` out.")
        return {split: Part(known[split], split, None) for split in SPLITS if split in known}
    train, validation, _ = cut.fractions
    tested = "test" in known
    if tested:
        both = train + validation
        cut = cut._replace(fractions=(train / both, validation / both, 0.0))
    found = {split: Part(known["train"], split, cut) for split in cut.splits}
    return found | ({"test": Part(known["test"], "test", None)} if tested else {})
