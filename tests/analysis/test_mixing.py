"""Collapse of mixtures is told apart from real mixing."""

import numpy as np
import pytest

from adapters.analysis.mixing import mixing


def soft(logits):
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


NOISE = np.random.default_rng(0).normal(size=(200, 4))


@pytest.mark.parametrize(
    ("mixtures", "collapse"),
    [
        (soft(3 * NOISE), ""),
        (np.eye(4, dtype=np.float32)[np.arange(200) % 4], ""),
        (soft(0.01 * NOISE), "all images of this task take the same mixture"),
        (soft(0.01 * NOISE + [2, 1, 0, 0]), "all images of this task take the same mixture"),
        (soft(0.01 * NOISE + [20, 0, 0, 0]), "all images of this task take one basis"),
        (np.ones((200, 1), np.float32), ""),
    ],
)
def test_collapse(mixtures, collapse):
    assert mixing(mixtures).collapse == collapse


def test_figures_by_hand():
    found = mixing(np.asarray([[1, 0], [0.5, 0.5]], np.float32))
    assert found.entropy == pytest.approx(0.5)
    assert found.spread == pytest.approx(0.25 / 0.5)
    assert found.shares == pytest.approx((0.75, 0.25))
