"""Both paths of the depthwise layer, in value and every gradient, against XLA's own convolution."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from adapters.layers import depthwise_convolution as depthwise
from adapters.layers import padding
from adapters.layers.windows import Geometry

SETTINGS = [
    (kernel, stride, dilation, convention, size)
    for kernel, (stride, dilation), convention, size in itertools.product(
        (3, 5, 7), ((1, 1), (2, 1), (1, 2)), ("same", "symmetric"), ((9, 12),)
    )
] + [(3, 2, 1, "same", (8, 7)), (5, 2, 2, "symmetric", (11, 10)), (3, 2, 1, "symmetric", (1, 1))]


def reference(x, w, stride, dilation, pads):
    return lax.conv_general_dilated(
        x[None],
        w,
        (stride, stride),
        pads,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )[0]


def reference_pads(convention, kernel, dilation):
    span = (kernel - 1) * dilation + 1
    return "SAME" if convention == "same" else [(span // 2, span // 2)] * 2


@pytest.mark.parametrize(("kernel", "stride", "dilation", "convention", "size"), SETTINGS)
def test_value_and_gradients_equal_the_native_convolution(
    kernel, stride, dilation, convention, size
):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(*size, 4)), jnp.float32)
    w = jnp.asarray(generator.normal(size=(kernel, kernel, 1, 4)), jnp.float32)
    pads = reference_pads(convention, kernel, dilation)

    def ours(x, w):
        return depthwise.depthwise(x, w, stride, convention, dilation)

    def theirs(x, w):
        return reference(x, w, stride, dilation, pads)

    @functools.partial(jax.jit, static_argnums=0)
    def value_and_gradients(f, x, w):
        y, transpose = jax.vjp(f, x, w)
        return y, *transpose(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    for got, expected in zip(
        value_and_gradients(ours, x, w), value_and_gradients(theirs, x, w), strict=True
    ):
        np.testing.assert_allclose(got, expected, atol=3e-5)


def test_native_path_equals_the_shifted_one():
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(9, 8, 4)), jnp.float32)
    w = jnp.asarray(generator.normal(size=(5, 5, 1, 4)), jnp.float32)
    geometry = Geometry(2, 1, padding.explicit("same", (9, 8), 5, 2, 1))

    def value_and_gradients(f):
        y, transpose = jax.vjp(f, x, w)
        return y, *transpose(jnp.cos(y))

    native = value_and_gradients(lambda x, w: depthwise.native(x, w, geometry))
    shifted = value_and_gradients(lambda x, w: depthwise.shifted(x, w, geometry))
    by_hand = value_and_gradients(lambda x, w: depthwise.depthwise(x, w, 2))
    for one, other, ours in zip(native, shifted, by_hand, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)
        np.testing.assert_allclose(one, ours, atol=3e-5)


def test_a_kernels_gradient_of_bfloat16_is_added_up_in_float32():
    """4,096 equal terms: in bfloat16 the sum would stop growing at 256."""
    x, dy = jnp.ones((64, 64, 2), jnp.bfloat16), jnp.ones((64, 64, 2), jnp.bfloat16)
    w = jnp.ones((1, 1, 1, 2), jnp.bfloat16)
    _, transpose = jax.vjp(depthwise.depthwise, x, w)
    np.testing.assert_array_equal(transpose(dy)[1], np.full((1, 1, 1, 2), 4096))


def test_the_native_path_is_what_a_gpu_runs():
    def f(x, w):
        return jnp.sum(depthwise.depthwise(x, w, 2) ** 2)

    arguments = jnp.ones((8, 8, 4)), jnp.ones((3, 3, 1, 4))
    traced = jax.jit(jax.value_and_grad(f, argnums=(0, 1))).trace(*arguments)
    on_gpu = traced.lower(lowering_platforms=("cuda",)).as_text()
    on_cpu = traced.lower(lowering_platforms=("cpu",)).as_text()
    assert on_gpu.count("stablehlo.convolution") == 3
    assert on_cpu.count("stablehlo.convolution") == 0


def test_kernels_of_each_example_under_vmap():
    x = jax.random.normal(jax.random.key(0), (3, 6, 6, 4))
    w = jax.random.normal(jax.random.key(1), (3, 3, 3, 1, 4))

    def loss(f):
        return lambda x, w: jnp.sum(jnp.sin(jax.vmap(f)(x, w)))

    ours = jax.grad(loss(depthwise.depthwise), argnums=(0, 1))(x, w)
    one = functools.partial(reference, stride=1, dilation=1, pads="SAME")
    for index in range(3):
        alone = jax.grad(lambda x, w: jnp.sum(jnp.sin(one(x, w))), argnums=(0, 1))(
            x[index], w[index]
        )
        for part, expected in zip(ours, alone, strict=True):
            np.testing.assert_allclose(part[index], expected, atol=1e-5)


def test_a_shared_kernel_sums_the_gradients_of_its_examples():
    x = jax.random.normal(jax.random.key(0), (3, 6, 6, 4))
    w = jax.random.normal(jax.random.key(1), (3, 3, 1, 4))
    together = jax.grad(lambda w: jnp.sum(jax.vmap(depthwise.depthwise, (0, None))(x, w) ** 2))(w)

    def alone(w, x):
        return jnp.sum(reference(x, w, 1, 1, "SAME") ** 2)

    apart = sum(jax.grad(alone)(w, one) for one in x)
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-4)
