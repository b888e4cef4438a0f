"""Decoded images: how large they are for a network, and keeping them while memory lasts."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

SHORT_SIDE = 256  # of an image whose network is not known, pixels
BUDGET = 256 << 20
"""Bytes of decoded pixels that one open split keeps; images beyond it are decoded again."""


def short_side_for(size: int) -> int:
    """The short side of images to train a network on whose images have the side `size`, pixels.

    Twice that: every epoch crops them anew.
    """
    return max(SHORT_SIDE, 2 * size)


class PixelCache:
    """Keeps what `decode` gave under a key, until the budget in bytes is spent.

    Sent to another process it arrives empty: to decode again costs less than to send pixels.
    Threads may share it; at worst two decode the same image.
    """

    def __init__(self, budget: int = BUDGET):
        self._budget = self._left = budget
        self._kept: dict[Hashable, np.ndarray] = {}

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the pixels kept under `key`, or those that `decode` gives."""
        if key in self._kept:
            return self._kept[key]
        pixels = decode()
        if pixels.nbytes <= self._left:
            self._left -= pixels.nbytes
            self._kept[key] = pixels
        return pixels

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelCache, (self._budget,)
