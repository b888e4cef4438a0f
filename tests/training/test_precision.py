"""A training step in bfloat16, beside the same one in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.patches.contract import no_look
from adapters.patches.forward import forward
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.quick import QUICKEST
from tests.training.test_step import batch, make

SPECS = ("scale_bias+depthwise", "full", "lora(rank=2)+film", "mask+scale_bias")


def first_step(spec, precision, norm="frozen"):
    """Metrics and Adam's first moments, which are gradients, of a step from heads not zero."""
    made = make(spec, norm=norm, warmup=0.0, precision=precision)
    state = made.init(jax.random.key(0), narrow.weights())
    state = state._replace(heads=narrow.disturbed(state.heads, 5))
    state, metrics = made.step(state, narrow.weights(), batch(), jax.random.key(1))
    patches, heads, _ = state.optimisers
    return state, metrics, [each[0].mu for each in (patches, heads["classification"])]


@pytest.mark.parametrize("spec", SPECS)
def test_losses_and_gradients_are_those_of_float32_but_for_rounding(spec):
    """bfloat16 keeps 8 bits: some per cent of the largest gradient of a task."""
    _, exact, gradients = first_step(spec, "float32")
    state, coarse, rounded = first_step(spec, "bfloat16")
    np.testing.assert_allclose(coarse.loss, exact.loss, rtol=0.03)
    assert (np.asarray(coarse.loss) != np.asarray(exact.loss)).any()
    for one, two in zip(jax.tree.leaves(gradients), jax.tree.leaves(rounded), strict=True):
        size = np.abs(one).max()
        assert np.abs(np.asarray(one) - np.asarray(two)).max() < 0.15 * size
        cosine = np.vdot(one, two) / (np.linalg.norm(one) * np.linalg.norm(two))
        assert cosine > 0.99
    assert {leaf.dtype for leaf in jax.tree.leaves((state.patches, state.heads))} <= {
        np.dtype("float32")
    }


@pytest.mark.parametrize("norm", ["batch", "ema"])
def test_moments_stay_float32(norm):
    state, metrics, _ = first_step("scale_bias", "bfloat16", norm)
    assert np.isfinite(metrics.loss).all()
    assert {leaf.dtype for leaf in jax.tree.leaves(state.patches.measured)} == {np.dtype("float32")}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_kind_of_block_runs_in_it(family):
    """Maps are bfloat16, features float32, near those of float32."""
    network = build(FAMILIES[family])
    weights = jax.jit(network.init, compiler_options=QUICKEST)(jax.random.key(0))
    image = narrow.normalised(narrow.images(1, 1)[0])[0, 0]
    found = {}
    for precision in ("float32", "bfloat16"):

        def features(given, image, precision=precision):
            taps = ("features", "stem")
            inputs = {"image": image}
            return forward(network, no_look, given, inputs, {}, taps, precision=precision).taps

        traced = jax.jit(features, compiler_options=QUICKEST).trace(weights, image)
        found[precision] = traced.lower().compile()(weights, image)["features"]
        text = str(traced.jaxpr)
        assert ("bf16" in text) == (precision == "bfloat16")
    exact, coarse = found["float32"], found["bfloat16"]
    assert coarse.dtype == jnp.float32
    assert np.abs(exact - coarse).max() < 0.1 * np.abs(exact).max()
