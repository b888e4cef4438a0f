"""Multi-query attention and layer scale by numpy, pixel by pixel."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.layers.attention import MultiQueryAttention
from adapters.layers.layer_scale import LayerScale
from adapters.layers.norm import Normalise
from tests import narrow

NORM = Normalise(1e-3)


def made(key_stride):
    network = hk.without_apply_rng(
        hk.transform(lambda x: MultiQueryAttention(3, 4, key_stride, "same", name="a")(x, NORM))
    )
    x = jax.random.normal(jax.random.key(0), (4, 6, 5))
    weights = narrow.disturbed(network.init(jax.random.key(1), x), seed=2)
    return np.asarray(x), jax.tree.map(np.asarray, weights), network.apply(weights, x)


def seen(x, weights, name, key_stride):
    """Keys or values by loops: a strided depthwise layer, its norm, a projection."""
    if key_stride > 1:
        kernel, norm = weights[f"a/{name}_depthwise"]["w"], weights[f"a/{name}_depthwise/norm"]
        padded = np.pad(x, ((0, 1), (0, 1), (0, 0)))
        shrunk = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]))
        for i, j in np.ndindex(shrunk.shape[:2]):
            window = padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            shrunk[i, j] = (window * kernel[:, :, 0]).sum((0, 1))
        x = norm["scale"] * (shrunk - norm["mean"]) / np.sqrt(norm["var"] + 1e-3) + norm["offset"]
    return (x @ weights[f"a/{name}"]["w"]).reshape(-1, 4)


@pytest.mark.parametrize("key_stride", [1, 2])
def test_every_pixel_and_head_by_numpy(key_stride):
    x, weights, got = made(key_stride)
    keys, values = (seen(x, weights, name, key_stride) for name in ("key", "value"))
    for i, j in np.ndindex(x.shape[:2]):
        heads = (x[i, j] @ weights["a/query"]["w"]).reshape(3, 4)
        mixed = []
        for head in heads:
            scores = np.exp(keys @ head / 2)  # the square root of 4 channels
            mixed.append(scores / scores.sum() @ values)
        expected = np.concatenate(mixed) @ weights["a/output"]["w"]
        np.testing.assert_allclose(got[i, j], expected, rtol=1e-4, atol=1e-5)


def test_names_and_shapes():
    _, weights, _ = made(2)
    kernels = {path: leaves["w"].shape for path, leaves in weights.items() if "w" in leaves}
    assert kernels == {
        "a/query": (5, 12),
        "a/key_depthwise": (3, 3, 1, 5),
        "a/key": (5, 4),
        "a/value_depthwise": (3, 3, 1, 5),
        "a/value": (5, 4),
        "a/output": (12, 5),
    }


def test_layer_scale_starts_near_zero_and_scales_channels():
    network = hk.without_apply_rng(hk.transform(lambda x: LayerScale(name="layer_scale")(x)))
    x = jax.random.normal(jax.random.key(0), (2, 3, 4))
    weights = network.init(jax.random.key(1), x)
    np.testing.assert_allclose(network.apply(weights, x), 1e-5 * np.asarray(x), rtol=1e-6)
    gain = jnp.asarray([1.0, 2.0, 0.0, -1.0])
    scaled = network.apply({"layer_scale": {"gain": gain}}, x)
    np.testing.assert_allclose(scaled, np.asarray(x) * np.asarray(gain), rtol=1e-6)
