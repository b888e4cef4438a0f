"""Adapters: what stands beside a convolution's kernel, by XLA's own convolutions."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.layers.adapter import Across, adapted
from adapters.layers.convolution import native
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.padding import explicit
from adapters.layers.windows import Geometry

CHANNELS, RANK, OUTPUTS = 6, 3, 5


def draws(*shapes):
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.standard_normal(shape, np.float32)) for shape in shapes]


every_geometry = pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [
        (3, 1, 1, "same"),
        (3, 2, 1, "same"),
        (5, 2, 1, "same"),
        (3, 2, 1, "symmetric"),
        (5, 2, 1, "symmetric"),
        (3, 2, 1, "trailing"),
        (3, 1, 2, "same"),
    ],
)


def geometry_of(x, kernel, stride, dilation, padding):
    pads = explicit(padding, x.shape[:2], kernel, stride, dilation)
    return Geometry(stride, dilation, pads)


@every_geometry
def test_a_parallel_adapter_is_the_middle_tap_of_a_full_kernel(kernel, stride, dilation, padding):
    """Rebuffi et al.: W * x + A x is one convolution with A added to the middle of W."""
    x, w, adapter = draws((9, 8, CHANNELS), (kernel, kernel, 1, CHANNELS), (CHANNELS, CHANNELS))

    def layer(x):
        depthwise = Depthwise(kernel, stride, padding, dilation, name="depthwise")
        return depthwise(x, Normalise(0.0))

    one, zero = jnp.ones(CHANNELS), jnp.zeros(CHANNELS)
    norm = {"scale": one, "offset": zero, "mean": zero, "var": one}
    weights = {"depthwise": {"w": w, "adapter": adapter}, "depthwise/norm": norm}
    found = hk.transform_with_state(layer).apply(weights, {}, None, x)[0]
    full = np.zeros((kernel, kernel, CHANNELS, CHANNELS), np.float32)
    full[:, :, range(CHANNELS), range(CHANNELS)] = w[:, :, 0]
    full[kernel // 2, kernel // 2] += adapter
    expected = native(x, jnp.asarray(full), geometry_of(x, kernel, stride, dilation, padding))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def with_adapter(leaves, y, across):
    class Layer(hk.Module):
        def __call__(self):
            return adapted(self, y, across)

    run = hk.transform(lambda: Layer(name="layer")())
    return run.apply({"layer": leaves}, None)


@every_geometry
def test_a_bottleneck_is_three_convolutions(kernel, stride, dilation, padding):
    x, down, taps, up = draws((9, 8, CHANNELS), (CHANNELS, RANK), (3, 3, 1, RANK), (RANK, OUTPUTS))
    across = Across(x, kernel, stride, dilation, padding)
    inner = jax.lax.conv_general_dilated(
        native(x, down[None, None], Geometry(1, 1, ((0, 0), (0, 0))))[None],
        taps,
        (stride, stride),
        geometry_of(x, 3, stride, dilation, padding).pads,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=RANK,
    )[0]
    expected = 2 + np.maximum(inner, 0) @ np.asarray(up)
    leaves = {"adapter_down": down, "adapter_kernel": taps, "adapter_up": up}
    found = with_adapter(leaves, jnp.full(expected.shape, 2.0), across)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_without_a_kernel_the_bottleneck_is_a_parallel_adapter_of_low_rank():
    x, down, up = draws((9, 8, CHANNELS), (CHANNELS, RANK), (RANK, OUTPUTS))
    across = Across(x, 3, 2, 1, "same")
    y = jnp.zeros((5, 4, OUTPUTS))
    low = with_adapter({"adapter_down": down, "adapter_up": up}, y, across)
    whole = with_adapter({"adapter": down @ up}, y, across)
    np.testing.assert_allclose(low, whole, rtol=1e-4, atol=1e-4)
