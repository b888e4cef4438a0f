"""Images that are others again: which of them stay, and which must not be parted."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple


class Copies(NamedTuple):
    """Images by their places.

    Attributes:
      kept: one of each picture, in order; none where labels contradict.
      copies: places of the same picture, the one that is kept first.
      contradictions: places of the same picture with labels that contradict.
    """

    kept: tuple[int, ...]
    copies: tuple[tuple[int, ...], ...]
    contradictions: tuple[tuple[int, ...], ...]


def find_copies(
    digests: Sequence[Hashable],
    labels: Sequence[Hashable],
    rank: Callable[[int], Any] = lambda place: place,
) -> Copies:
    """Sorts out images that have the same pixels.

    Args:
      digests: of the pixels.
      labels: what has to agree where the pixels are the same.
      rank: of the places of one picture, that of the lowest is kept; by default the first.
    """
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for place, digest in enumerate(digests):
        alike[digest].append(place)
    kept, copies, contradictions = [], [], []
    for places in alike.values():
        if len({labels[place] for place in places}) > 1:
            contradictions.append(tuple(places))
            continue
        first = min(places, key=rank)
        kept.append(first)
        if len(places) > 1:
            copies.append((first, *(place for place in places if place != first)))
    return Copies(tuple(sorted(kept)), tuple(copies), tuple(contradictions))


def joined(places: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The places in groups, so that the two of each pair are in one; all in their order."""
    group = {place: [place] for place in places}
    for one, other in pairs:
        if group[one] is not group[other]:
            into, gone = sorted((group[one], group[other]), key=len, reverse=True)
            into += gone
            group.update(dict.fromkeys(gone, into))
    unique = {id(own): sorted(own) for own in group.values()}
    return sorted(unique.values())
