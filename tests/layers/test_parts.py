"""A batch in parts: equal to the whole, and as large parts as fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.layers import convolution, parts
from adapters.layers.windows import Geometry


def image_and_kernel(*batch):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((*batch, 9, 8, 3), np.float32)
    return jnp.asarray(x), jnp.asarray(generator.standard_normal((3, 3, 3, 5), np.float32))


def turns_of(function, *arguments):
    """How often each loop of a function's program turns."""
    equations = jax.make_jaxpr(function)(*arguments).eqns
    return [eqn.params["length"] for eqn in equations if eqn.primitive.name == "scan"]


@pytest.mark.parametrize(
    ("cache", "turns"), [(700, []), (699, [1]), (350, [2]), (250, [3]), (10, [7])]
)
def test_a_batch_takes_as_many_at_once_as_fit(monkeypatch, cache, turns):
    """Seven examples of 100 bytes: what is left over comes after the loop."""
    monkeypatch.setattr(parts, "CACHE", cache)
    mapped = jax.vmap(parts.in_parts(lambda x, y: x * y, 100), (0, None))
    x, y = np.arange(14.0, dtype=np.float32).reshape(7, 2), np.asarray([2.0, 3.0], np.float32)
    np.testing.assert_array_equal(mapped(x, y), x * y)
    assert turns_of(mapped, x, y) == turns


@pytest.mark.parametrize(("devices", "turns"), [(1, [4]), (2, [])])
def test_groups_that_devices_share_are_not_taken_in_turn(monkeypatch, devices, turns):
    monkeypatch.setattr(parts, "CACHE", 300)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    mapped = jax.vmap(jax.vmap(parts.in_parts(lambda x: 2 * x, 100)))
    x = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(mapped(x), 2 * x)
    assert turns_of(mapped, x) == turns


@pytest.mark.parametrize(("devices", "loops"), [(1, 2), (2, 1)])
def test_nor_are_they_where_examples_come_one_at_a_time(monkeypatch, devices, loops):
    monkeypatch.setattr(parts, "CACHE", 100)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    mapped = jax.vmap(jax.vmap(parts.in_parts(lambda x: 2 * x, 100)))
    x = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(mapped(x), 2 * x)
    assert str(jax.make_jaxpr(mapped)(x)).count("scan[") == loops


@pytest.mark.parametrize("cache", [0, 1_000_000])
def test_gradients_in_parts_equal_the_native_convolutions(monkeypatch, cache):
    """Groups of examples, the kernel each group's own."""
    monkeypatch.setattr(parts, "CACHE", cache)
    geometry = Geometry(2, 1, ((1, 1), (0, 1)))
    x, w = image_and_kernel(2, 4)
    kernels = jnp.stack([w, 2 * w])

    def loss(convolve, x, kernels):
        y = jax.vmap(jax.vmap(lambda x, w: convolve(x, w, geometry), (0, None)))(x, kernels)
        return jnp.sum(y**2)

    gradients = [
        jax.grad(loss, (1, 2))(convolve, x, kernels)
        for convolve in (convolution.as_product, convolution.native)
    ]
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
