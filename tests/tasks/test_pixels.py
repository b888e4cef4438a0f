"""Decoded images: kept within the budget, decoded again beyond it."""

import pickle

import numpy as np

from tasks.pixels import PixelCache


def test_pixels_are_kept_while_the_budget_lasts():
    cache, decoded = PixelCache(budget=250), []

    def decode(key: str) -> np.ndarray:
        decoded.append(key)
        return np.zeros(100, np.uint8)

    for key in ("a", "b", "c", "a", "b", "c"):
        assert cache.get(key, lambda key=key: decode(key)).nbytes == 100
    assert decoded == ["a", "b", "c", "c"]
    sent = pickle.loads(pickle.dumps(cache))
    sent.get("a", lambda: decode("a again"))
    assert decoded[-1] == "a again"
