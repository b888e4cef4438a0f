"""What comes before a patch, and the rest: together they are the whole network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.backbones.rows import Convolution
from adapters.backbones.table import NeckRow
from adapters.backbones.taps import tap
from adapters.patches.registry import from_spec
from adapters.training.prefix import prefix
from tests import narrow
from tests.quick import QUICKEST
from tests.training.test_step import batch, make

STEM, ONE, TWO, THREE, TAIL = BLOCKS = ("stem", "block_01", "block_02", "block_03", "tail")


def found(spec, norm="frozen"):
    patch = from_spec(spec, norm)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    return prefix(narrow.BACKBONE, patch, weights, ["features"], narrow.SIZE)


@pytest.mark.parametrize(
    ("spec", "blocks", "values"),
    [
        ("head_only", BLOCKS, 16),
        ("last(scale_bias, layers=1)", (STEM, ONE, TWO, THREE), 8 * 8 * 12),
        ("last(full, layers=2)", (STEM, ONE, TWO), 8 * 8 * 12),
        ("spotpatch(last(bias, layers=1))", (STEM, ONE, TWO, THREE), 8 * 8 * 12),
        ("last(lora, layers=5)", (STEM, ONE), 16 * 16 * 8),
    ],
)
def test_what_a_patch_leaves_as_it_is_comes_first(spec, blocks, values):
    assert (found(spec).blocks, found(spec).values) == (blocks, values)


@pytest.mark.parametrize(
    ("spec", "norm"),
    [
        *(("scale_bias", "frozen"), ("full", "frozen"), ("spotpatch(delta)", "frozen")),
        *(("conditional", "frozen"), ("head_only", "calibrated")),
    ],
)
def test_nothing_does_where_the_stem_is_touched_or_images_are_looked_at(spec, norm):
    assert found(spec, norm) is None


@pytest.mark.parametrize(("layers", "rematerialise"), [(4, True), (1, False), (0, False)])
def test_both_parts_are_the_whole_network(layers, rematerialise):
    """Cut in the trunk, in the neck, behind all; the neck reads from both sides of the first."""
    table = dataclasses.replace(
        narrow.TABLE,
        neck=(
            NeckRow("neck_01", "tail", Convolution(inputs=16, outputs=12, activation="relu6")),
            NeckRow(
                *("neck_02", "block_01"),
                Convolution(inputs=8, outputs=12, activation="relu6"),
                adds="neck_01",
            ),
        ),
    )
    backbone = build(table, "same", narrow.EPSILON)
    drawn = jax.jit(backbone.init, compiler_options=QUICKEST)(jax.random.key(0))
    weights = narrow.disturbed(drawn, 1)
    taps = ["stride_2/expand", "block_01", "features", "neck_01", "neck_02"]
    spec = f"last(bias, layers={layers})" if layers else "head_only"
    parts = prefix(backbone, from_spec(spec), weights, taps, narrow.SIZE)
    rows = [*BLOCKS, "neck_01", "neck_02"]
    assert parts.blocks == tuple(rows[: {4: 3, 1: 6, 0: 7}[layers]])
    image = narrow.normalised(narrow.images(1, 1)[0])[0, 0]

    def seen(weights, image):
        vector = parts.apply(weights, image)
        rest = parts.rest.apply(weights, vector, rematerialise=rematerialise)
        both = (rest, backbone.apply(weights, image))
        return [{name: tap(backbone.table, each, name) for name in taps} for each in both]

    mine, whole = jax.jit(seen, compiler_options=QUICKEST)(weights, image)
    for name in taps:
        np.testing.assert_allclose(mine[name], whole[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_steps_behind_it_are_steps_of_the_whole():
    spec = "last(scale_bias, layers=2)"
    weights, one = narrow.weights(), batch(tasks=(0, 2))
    parts = found(spec)
    images = narrow.normalised(one.inputs["image"])
    known = jax.jit(jax.vmap(jax.vmap(parts.apply, (None, 0)), (None, 0)))(weights, images)
    assert known.shape == (2, 2, parts.values)
    states = []
    for made, image in (
        (make(spec), one.inputs["image"]),
        (make(spec, backbone=parts.rest, pixels=None), known),
    ):
        state = made.init(jax.random.key(0), weights)
        for _ in range(3):
            held = one._replace(inputs={"image": image})
            state, metrics = made.step(state, weights, held, jax.random.key(1))
        states.append((metrics.loss, state.patches.trained, narrow.head(state)))
    assert float(jnp.abs(states[0][2]["w"]).max()) > 1e-3
    for mine, whole in zip(*map(jax.tree.leaves, states), strict=True):
        np.testing.assert_allclose(mine, whole, rtol=1e-5, atol=1e-6)
