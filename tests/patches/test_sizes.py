"""The sizes of leaves, against what layers do to random numbers."""

import numpy as np
import pytest

from adapters.patches import sizes
from adapters.patches.bias import bias
from adapters.patches.contract import PatchParams

RANDOM = np.random.default_rng(0)
INPUT_SIZE = 2.5
LAYERS = {
    "pointwise": RANDOM.normal(size=(48, 32)) / 7,
    "depthwise": RANDOM.normal(size=(5, 5, 1, 32)) * 3,
}


def sums(w: np.ndarray) -> np.ndarray:
    """What a layer makes of independent inputs at many places."""
    taps = w.reshape(-1, w.shape[-1])
    inputs = INPUT_SIZE * RANDOM.normal(size=(1000, *taps.shape))
    return np.sum(inputs * taps, axis=1)


@pytest.mark.parametrize("layer", LAYERS)
def test_sums_and_inputs_are_as_large_as_their_statistics_say(layer):
    w = np.float32(LAYERS[layer])
    made = sums(LAYERS[layer])
    weights = {layer: {"w": w, "b": w[0]}, f"{layer}/norm": {"var": np.float32(made.var(axis=0))}}
    spread = np.sqrt(np.mean(np.square(made)))
    np.testing.assert_allclose(sizes.size_of_sums(weights, layer), spread, rtol=0.02)
    np.testing.assert_allclose(sizes.size_of_inputs(weights, layer), INPUT_SIZE, rtol=0.05)
    np.testing.assert_allclose(sizes.size_of(weights[layer], "b"), spread / INPUT_SIZE, rtol=0.05)


def test_offsets_learn_in_units_of_the_scales_beside_them():
    norm = {"scale": np.float32([0.3, -0.4, 0, 0]), "offset": np.float32([9, 9, 9, 9])}
    patch = bias()
    rates = patch.rates({"norm": norm}, patch.init(None, {"norm": norm}), {})
    np.testing.assert_allclose(rates["norm"]["offset"], 0.25, rtol=1e-6)


def test_what_is_zero_or_nobodys_moves_too():
    params = PatchParams({"one": {"w": np.zeros(3)}, "other": {"w": np.zeros(3)}})
    rates = sizes.own_sizes({"one": {"w": np.zeros(3, np.float32)}}, params, {})
    assert rates["one"]["w"] > 0
    assert rates["other"]["w"] == 1
