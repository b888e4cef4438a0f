"""Pointwise, full convolution, dense and squeeze-excite against numpy and XLA."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from adapters.errors import UnknownNameError
from adapters.layers import convolution as convolution_lib
from adapters.layers import padding as padding_lib
from adapters.layers.activations import activate
from adapters.layers.convolution import convolution
from adapters.layers.dense import Dense
from adapters.layers.pixels import pointwise
from adapters.layers.squeeze_excite import SqueezeExcite
from adapters.layers.windows import Geometry


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 1, 3)])
def test_pointwise_value_and_gradients(shape):
    x = jax.random.normal(jax.random.key(0), shape)
    w = jax.random.normal(jax.random.key(1), (3, 6))

    def reference(x, w):
        y = lax.conv_general_dilated(
            x[None], w[None, None], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y[0]

    for argument in (0, 1):
        ours = jax.grad(lambda *a: jnp.sum(jnp.sin(pointwise(*a))), argument)(x, w)
        theirs = jax.grad(lambda *a: jnp.sum(jnp.sin(reference(*a))), argument)(x, w)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(pointwise(x, w), reference(x, w), atol=1e-5)


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_convolution_by_loops(padding):
    x = np.random.default_rng(0).normal(size=(6, 7, 3)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(3, 3, 3, 2)).astype(np.float32)
    before = {"same": (0, 1), "symmetric": (1, 1)}[padding]  # 6 is even, 7 is odd
    padded = np.pad(x, (before if padding == "same" else (1, 1), (1, 1), (0, 0)))
    got = np.asarray(convolution(jnp.asarray(x), jnp.asarray(w), 2, padding))
    for i in range(got.shape[0]):
        for j in range(got.shape[1]):
            window = padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            np.testing.assert_allclose(got[i, j], np.einsum("ijc,ijcd->d", window, w), atol=1e-4)


@pytest.mark.parametrize(
    ("stride", "dilation", "kernel"),
    [(2, 1, 3), (1, 2, 3), (4, 1, 4), (1, 1, 3), (2, 1, 5), (3, 1, 2)],
)
def test_convolution_as_a_product_equals_the_native_one(stride, dilation, kernel):
    x = jax.random.normal(jax.random.key(0), (11, 8, 3))
    w = jax.random.normal(jax.random.key(1), (kernel, kernel, 3, 5))
    pads = padding_lib.explicit("same", (11, 8), kernel, stride, dilation)
    geometry = Geometry(stride, dilation, pads)

    def value_and_gradients(f):
        y, transpose = jax.vjp(lambda x, w: f(x, w, geometry), x, w)
        return y, *transpose(jnp.cos(y))

    native = value_and_gradients(convolution_lib.native)
    product = value_and_gradients(convolution_lib.as_product)
    for one, other in zip(native, product, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)


def test_the_native_convolution_is_what_a_gpu_runs():
    traced = jax.jit(lambda x, w: convolution(x, w, 2)).trace(
        jnp.ones((8, 8, 3)), jnp.ones((3, 3, 3, 4))
    )
    for platform, count in {"cuda": 1, "cpu": 0}.items():
        lowered = traced.lower(lowering_platforms=(platform,)).as_text()
        assert lowered.count("stablehlo.convolution") == count


def test_squeeze_excite_by_numpy():
    network = hk.without_apply_rng(
        hk.transform(lambda x: SqueezeExcite(4, jax.nn.hard_sigmoid, name="squeeze_excite")(x))
    )
    x = jax.random.normal(jax.random.key(0), (5, 6, 8))
    weights = network.init(jax.random.key(1), x)
    assert {path: {n: v.shape for n, v in leaves.items()} for path, leaves in weights.items()} == {
        "squeeze_excite/reduce": {"w": (8, 4), "b": (4,)},
        "squeeze_excite/expand": {"w": (4, 8), "b": (8,)},
    }
    w = jax.tree.map(np.asarray, weights)
    reduce, expand = w["squeeze_excite/reduce"], w["squeeze_excite/expand"]
    inner = np.maximum(np.asarray(x).mean((0, 1)) @ reduce["w"] + reduce["b"], 0)
    gate = np.clip(inner @ expand["w"] + expand["b"] + 3, 0, 6) / 6
    np.testing.assert_allclose(network.apply(weights, x), np.asarray(x) * gate, atol=1e-6)


def test_dense_by_numpy():
    network = hk.without_apply_rng(hk.transform(lambda x: Dense(3, name="dense")(x)))
    x = jnp.arange(4.0)
    weights = network.init(jax.random.key(0), x)
    leaves = weights["dense"]
    expected = np.asarray(x) @ np.asarray(leaves["w"]) + np.asarray(leaves["b"])
    np.testing.assert_allclose(network.apply(weights, x), expected, atol=1e-6)


def test_an_unknown_activation_offers_near_names():
    with pytest.raises(UnknownNameError, match="relu6"):
        activate("relu7", jnp.zeros(1))
