"""Blocks computed again in the backward pass: the same step, from less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.rematerialise import rematerialised
from adapters.patches.registry import from_spec
from adapters.training.recipe import RematerialiseError
from tests import narrow
from tests.training.test_step import batch, make


def test_a_step_is_the_same():
    """After a step from heads that are not zero: losses, and gradients as Adam's first moments."""
    found = []
    for rematerialise in (False, True):
        made = make("scale_bias+depthwise", warmup=0.0, rematerialise=rematerialise)
        state = made.init(jax.random.key(0), narrow.weights())
        state = state._replace(heads=narrow.disturbed(state.heads, 5))
        state, metrics = made.step(state, narrow.weights(), batch(), jax.random.key(1))
        patches, heads, _ = state.optimisers
        moments = [optimiser[0].mu for optimiser in (patches, heads["classification"])]
        found.append([metrics.loss, *jax.tree.leaves(moments)])
    assert max(np.abs(leaf).max() for leaf in found[0][1:]) > 0
    for plain, again in zip(*found, strict=True):
        np.testing.assert_allclose(plain, again, rtol=1e-4, atol=1e-6)


def test_endpoints_and_features_are_the_same():
    (image,) = narrow.normalised(narrow.images(1, 1)[0])[0]
    plain = narrow.BACKBONE.apply(narrow.weights(), image)
    again = narrow.BACKBONE.apply(narrow.weights(), image, rematerialise=True)
    jax.tree.map(np.testing.assert_array_equal, plain, again)


def test_what_is_inside_is_not_kept():
    """XLA's own figure for a gradient by everything."""
    patch = from_spec("full")
    weights = narrow.weights()
    params = patch.init(jax.random.key(0), weights)
    images = jnp.zeros((16, 64, 64, 3))

    def temporary(rematerialise):
        def loss(trained):
            patched = patch.apply(weights, params._replace(trained=trained), {})

            def features(image):
                return narrow.BACKBONE.apply(patched, image, rematerialise=rematerialise).features

            return jnp.sum(jax.vmap(features)(images) ** 2)

        compiled = jax.jit(jax.grad(loss)).lower(params.trained).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary(True) < 0.7 * temporary(False)


@pytest.mark.parametrize("norm", ["batch", "ema"])
def test_norms_that_look_at_the_batch_are_refused(norm):
    with pytest.raises(RematerialiseError, match="frozen or calibrated"):
        make(norm=norm, rematerialise=True)


def test_gradients_of_every_argument():
    def function(tree, x):
        return jnp.sin(tree["a"] * x) * x, {"sum": jnp.sum(x)}

    arguments = {"a": jnp.asarray([0.3, 2.0])}, jnp.asarray([1.5, -0.7])

    def gradients(f):
        values, transpose = jax.vjp(f, *arguments)
        return values, transpose((jnp.asarray([1.0, 2.0]), {"sum": jnp.asarray(3.0)}))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
        gradients(function),
        gradients(rematerialised(function)),
    )
