"""Mixed kernels: against a kernel made by hand for each image, whichever way the layer takes."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.analysis.counting import multiply_adds
from adapters.layers import mixture
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise

IMAGES, BASES, CHANNELS = 5, 3, 4
NORM = Normalise(1e-3)


def made(layer, side, seed=0):
    """A network of one layer, its weights with bases, images, and a mixture for each."""
    network = hk.without_apply_rng(hk.transform_with_state(lambda x: layer()(x, NORM)))
    generator = np.random.default_rng(seed)

    def normal(*shape):
        return jnp.asarray(generator.normal(size=shape), jnp.float32)

    images = normal(IMAGES, side, side, CHANNELS)
    weights, _ = network.init(jax.random.key(0), images[0])
    shape = weights["layer"]["w"].shape
    weights["layer"] = {**weights["layer"], "bases": normal(BASES, *shape)}
    mixes = jax.nn.softmax(normal(IMAGES, BASES))

    def apply(weights, mix, image):
        leaves = {**weights["layer"], "mix": mix}
        return network.apply({**weights, "layer": leaves}, {}, image)[0]

    return jax.vmap(apply, (None, 0, 0)), weights, mixes, images


LAYERS = {
    "pointwise": functools.partial(Pointwise, 6, name="layer"),
    "narrowing pointwise": functools.partial(Pointwise, 2, name="layer"),
    "depthwise": functools.partial(Depthwise, 3, 1, "same", name="layer"),
}


@pytest.mark.parametrize("side", [1, 2, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_image_gets_its_own_kernel(kind, side):
    mapped, weights, mixes, images = made(LAYERS[kind], side)
    plain = hk.without_apply_rng(hk.transform_with_state(lambda x: LAYERS[kind]()(x, NORM)))
    layer = jax.tree.map(np.asarray, weights["layer"])
    for mix, image, found in zip(mixes, images, mapped(weights, mixes, images), strict=True):
        kernel = layer["w"] + sum(
            float(share) * base for share, base in zip(mix, layer["bases"], strict=True)
        )
        expected, _ = plain.apply({**weights, "layer": {"w": kernel}}, {}, image)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["pointwise", "narrowing pointwise"])
def test_both_ways_agree_in_value_and_gradient(kind):
    mapped, *given = made(LAYERS[kind], 2)

    def gradient(pixels):
        def loss(weights, mixes, images):
            return jnp.sum(jnp.sin(mapped(weights, mixes, images)))

        with mixture.products_up_to(pixels):
            return jax.value_and_grad(loss, argnums=(0, 1, 2))(*given)

    both = [gradient(0), gradient(4)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), *both)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_fewest_multiply_adds_come_of_mixing_kernels(side):
    mapped, weights, mixes, images = made(LAYERS["pointwise"], side)
    pixels, size = side * side, weights["layer"]["w"].size

    def count(largest):
        with mixture.products_up_to(largest):
            again = functools.partial(mapped)  # not the function that was traced before
            jaxpr = jax.make_jaxpr(again)(weights, mixes[:1], images[:1]).jaxpr
        return sum(map(multiply_adds, jaxpr.eqns))

    kernels = (BASES + 1) * size + pixels * size
    products = (BASES + 1) * pixels * size  # the inputs are mixed: they have fewer channels
    assert count(0) == kernels
    assert count(9) == products


def test_without_a_mixture_bases_do_nothing():
    mapped, weights, mixes, images = made(LAYERS["pointwise"], 2)
    zero = mapped(weights, jnp.zeros_like(mixes), images)
    plain = hk.without_apply_rng(hk.transform_with_state(lambda x: LAYERS["pointwise"]()(x, NORM)))
    for image, found in zip(images, zero, strict=True):
        bare = {**weights, "layer": {"w": weights["layer"]["w"]}}
        expected = plain.apply(weights, {}, image)[0]
        assert np.array_equal(expected, plain.apply(bare, {}, image)[0])
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
