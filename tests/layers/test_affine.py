"""The fused norm and activation against the plain formula, and what its backward pass keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.layers.affine import affine

PLAIN = {
    "linear": lambda z: z,
    "relu": lambda z: jnp.maximum(z, 0),
    "relu6": lambda z: jnp.clip(z, 0, 6),
    "hard_swish": lambda z: z * jnp.clip(z + 3, 0, 6) / 6,
    "gelu": lambda z: z * 0.5 * (1 + jax.lax.erf(z / np.float32(np.sqrt(2)))),
}


def case(channels=12):
    generator = np.random.default_rng(0)
    x = jnp.asarray(4 * generator.normal(size=(5, 6, channels)), jnp.float32)
    gain, bias = jnp.asarray(generator.normal(size=(2, channels)), jnp.float32)
    return x, gain, bias


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize("trained", [(0, 1, 2), (0, 2), (2,), (1,), (0,)])
def test_value_and_gradients(activation, trained):
    def plain(x, gain, bias):
        return jnp.sum(jnp.sin(PLAIN[activation](x * gain[None, None] + bias[None, None])))

    def ours(x, gain, bias):
        return jnp.sum(jnp.sin(affine(x, gain, bias, activation)))

    expected = jax.jit(jax.value_and_grad(plain, trained))(*case())
    got = jax.jit(jax.value_and_grad(ours, trained))(*case())
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_gains_of_each_group_under_vmap():
    x, gain, bias = case()
    gains = jnp.stack([gain, 2 * gain])

    def loss(gains):
        return jnp.sum(jax.vmap(affine, (None, 0, None, None))(x, gains, bias, "relu6") ** 2)

    for row, own in enumerate(gains):
        alone = jax.grad(lambda gain: jnp.sum(affine(x, gain, bias, "relu6") ** 2))(own)
        np.testing.assert_allclose(jax.grad(loss)(gains)[row], alone, rtol=1e-4)


def kept_bytes(trained, channels):
    """Bytes that the backward pass of a function of the `trained` arguments closes over."""
    arguments = case(channels)

    def of_trained(*own):
        full = list(arguments)
        for place, value in zip(trained, own, strict=True):
            full[place] = value
        return affine(*full, "relu6")

    _, backward = jax.vjp(of_trained, *(arguments[place] for place in trained))
    return sum(leaf.nbytes for leaf in jax.tree.leaves(backward) if leaf.ndim == 3)


def test_a_frozen_gain_keeps_one_bit_an_element():
    assert kept_bytes((0, 2), channels=16) == 5 * 6 * 2
    assert kept_bytes((0, 2), channels=12) == 5 * 6 * 2
    assert kept_bytes((0, 1, 2), channels=16) == 5 * 6 * 16 * 4
