"""Cutting a list into training, validation and test, alike on every machine."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

SPLITS = ("train", "validation", "test")

FRACTIONS = (0.70, 0.15, 0.15)
"""Of a class: train, validation, test."""

Item = TypeVar("Item")


def cut_by_hash(
    items: Iterable[Item], key: Callable[[Item], str], fractions: Sequence[float] = FRACTIONS
) -> dict[str, list[Item]]:
    """Cuts three or more items into train, validation and test of about these fractions.

    None is empty whose fraction is above zero.
    The order in which they are cut is that of the SHA-256 of their keys: the same on every machine.
    """
    ordered = sorted(items, key=lambda item: hashlib.sha256(key(item).encode()).digest())
    validation, test = (max(1, round(len(ordered) * part)) if part else 0 for part in fractions[1:])
    train = len(ordered) - validation - test
    cuts = (ordered[:train], ordered[train : train + validation], ordered[train + validation :])
    return dict(zip(SPLITS, cuts, strict=True))
