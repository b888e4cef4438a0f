"""Shares of MobileNetV2 1.0's 2,223,872 weights that published families of patches own."""

import jax
import jax.numpy as jnp
import pytest

from adapters.backbones import registry
from adapters.backbones.builder import build
from adapters.patches.registry import from_spec


@pytest.mark.parametrize(
    ("spec", "percent"),
    [
        ("bias", 0.77),
        ("scale_bias", 1.53),
        ("film", 1.53),
        ("depthwise", 2.89),
        ("scale_bias+depthwise", 4.42),
        ("mask", 3.08),
        ("mask+scale_bias", 4.61),
        ("lora(rank=1)", 0.83),
        ("lora(rank=2)", 1.67),
        ("lora(rank=4)", 3.33),
        ("lora(rank=8)", 6.67),
        ("full", 100.00),
    ],
)
def test_shares_of_the_extractor(spec, percent):
    weights = jax.eval_shape(build(registry.table("mobilenet_v2_1.0")).init, jax.random.key(0))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), weights)
    patch = from_spec(spec)
    bits = sum(int(count) for count in patch.cost(patch.init(jax.random.key(0), zeros)).values())
    assert round(100 * bits / 32 / 2_223_872, 2) == percent
