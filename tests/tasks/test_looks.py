"""What looks alike: the hash and the comparison, each against a plain one, pair by pair."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.copies import joined
from tasks.looks import Look, alike, look


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Of two images [8, 9]: at most 3 of 64 steps differ, and the correlation is above 0.995."""
    steps = [(own[:, 1:].astype(int) - own[:, :-1] > 2).ravel() for own in (one, other)]
    if np.count_nonzero(steps[0] != steps[1]) > 3:
        return False
    return bool(np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.995)


def linked(count: int, pairs) -> list[list[int]]:
    return joined(range(count), list(pairs))


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_images_are_linked_as_all_pairs_would_link_them(seed, count):
    random = np.random.default_rng(seed)
    bases = random.integers(0, 256, (3, 8, 9))
    noise = random.integers(-8, 9, (count, 8, 9)) * random.integers(0, 2, (count, 1, 1))
    images = np.clip(bases[random.integers(0, 3, count)] + noise, 0, 255).astype(np.uint8)
    found = alike([Look(own.tobytes()) for own in images])
    brute = [
        (one, other)
        for one, other in itertools.combinations(range(count), 2)
        if same(images[one], images[other])
    ]
    assert linked(count, found) == linked(count, brute)
    assert set(found) <= set(brute)
    assert len(found) == count - len(linked(count, brute))


def test_an_even_image_has_no_look_and_keeps_its_place():
    own = look(Image.frombytes("L", (9, 8), bytes(range(0, 216, 3))))
    assert look(Image.new("RGB", (40, 30), "white")) is None
    assert alike([None, own, None, own]) == [(1, 3)]
    assert alike([own]) == alike([]) == alike([None, None]) == []
