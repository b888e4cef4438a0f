"""Blocks skipped by the leaf `open`, against networks that never had them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.backbones.sites import sites
from adapters.backbones.skipping import UnskippableError
from adapters.runtime.fold import fold_norms
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.backbones.test_every_backbone import backbone, images, weights

# Programs are compared to the bit, or nearly so, for which QUICKEST is too coarse.
QUICK = {"xla_backend_optimization_level": 0}
SKIPPABLE = [
    (family, name)
    for family, table in FAMILIES.items()
    for name, row in table.named_rows()
    if row.residual
]
every_skippable = pytest.mark.parametrize(("family", "block"), SKIPPABLE)
every_family = pytest.mark.parametrize("family", FAMILIES)


@functools.cache
def outputs(family):
    apply = jax.vmap(backbone(family).apply, (None, 0))
    return jax.jit(apply, compiler_options=QUICK)


def features(family, weights):
    return np.asarray(outputs(family)(weights, images()[0]).features)


def place(family, block):
    (path,) = (s.path for s in sites(FAMILIES[family]) if s.block == block and s.takes_open)
    return path


def opened(family, block, value):
    """The family's weights with one block's leaf `open`."""
    path = place(family, block)
    own = weights(family)
    return {**own, path: {**own[path], "open": jnp.full(1, value, jnp.float32)}}


def without(family, block):
    """The network of a table without that row, and the same weights by its blocks' names."""
    table = FAMILIES[family]
    rows = dict(table.named_rows())
    kept = [name for name in rows if name != block]
    fewer = dataclasses.replace(table, rows=tuple(rows[name] for name in kept))
    names = dict(zip(kept, (name for name, _ in fewer.named_rows()), strict=True))
    renamed = {}
    for path, leaves in weights(family).items():
        old, slash, rest = path.partition("/")
        if old in names:
            renamed[f"{names[old]}{slash}{rest}"] = leaves
    return build(fewer, "same", narrow.EPSILON), renamed


@every_skippable
def test_a_skipped_block_is_that_of_a_table_without_its_row(family, block):
    other, own = without(family, block)
    apply = jax.jit(jax.vmap(other.apply, (None, 0)), compiler_options=QUICK)
    expected = np.asarray(apply(own, images()[0]).features)
    found = features(family, opened(family, block, 0))
    # Another program, which may round otherwise in the last bit.
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(expected, features(family, weights(family)), rtol=1e-3)


@every_skippable
def test_a_skipped_block_gives_its_input_to_the_bit(family, block):
    names = [name for name, _ in FAMILIES[family].named_rows()]
    before = names[names.index(block) - 1]
    made = outputs(family)(opened(family, block, 0), images()[0]).endpoints
    assert np.asarray(made[block]).tobytes() == np.asarray(made[before]).tobytes()


@every_skippable
def test_an_open_block_is_as_without_the_leaf_to_the_bit(family, block):
    found = features(family, opened(family, block, 1))
    assert found.tobytes() == features(family, weights(family)).tobytes()


@every_skippable
def test_of_a_skipped_branch_nothing_is_heard(family, block):
    """Weights that are no numbers reach nothing: the branch is left out, not multiplied by 0."""
    closed = opened(family, block, 0)
    broken = {
        path: {n: leaf if n == "open" else jnp.full_like(leaf, jnp.nan) for n, leaf in own.items()}
        if path.partition("/")[0] == block
        else own
        for path, own in closed.items()
    }
    assert features(family, broken).tobytes() == features(family, closed).tobytes()


@every_family
def test_folded_equals_unfolded_with_every_block_skipped(family):
    skipped = dict(weights(family))
    for block in (name for other, name in SKIPPABLE if other == family):
        path = place(family, block)
        skipped[path] = {**skipped[path], "open": np.zeros(1, np.float32)}
    folded = fold_norms(jax.tree.map(np.asarray, skipped), narrow.EPSILON)
    np.testing.assert_allclose(
        features(family, folded), features(family, skipped), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_gradient_of_open_is_what_the_branch_would_do(value):
    """By the network itself: features with the block, less those without it, to first order."""
    family, block = "mobilenet_v2", "block_03"
    path, image = place(family, block), images()[0][0]

    def total(is_open, rematerialise=False):
        own = opened(family, block, 0)
        own[path]["open"] = is_open
        apply = functools.partial(backbone(family).apply, rematerialise=rematerialise)
        return jnp.sum(apply(own, image).endpoints["block_03"])

    gradient = jax.jit(jax.grad(total), compiler_options=QUICK)(jnp.full(1, value))
    change = total(jnp.ones(1)) - total(jnp.zeros(1))
    np.testing.assert_allclose(gradient, [change], rtol=1e-4)
    again = jax.jit(jax.grad(functools.partial(total, rematerialise=True)))(jnp.full(1, value))
    np.testing.assert_allclose(again, gradient, rtol=1e-5)


def test_a_skipped_branch_gets_no_gradient():
    def total(own):
        return jnp.sum(backbone("mobilenet_v2").apply(own, images()[0][0]).features)

    gradients = jax.jit(jax.grad(total), compiler_options=QUICK)(
        opened("mobilenet_v2", "block_03", 0)
    )
    assert not np.any(gradients["block_03/expand"]["w"])
    assert np.any(gradients["block_02/expand"]["w"])


@pytest.mark.parametrize(
    ("family", "path", "reason"),
    [
        ("mobilenet_v2", "block_02/project", "does not add its input to its output"),
        ("mobilenet_v2", "tail", "tail of narrow does not add"),
        ("mobilenet_v2", "block_03/expand", "is skipped by block_03/project/open"),
        ("mobilenet_v4 hybrid", "block_02/attention/query", "by block_02/attention/output/open"),
        ("mobilenet_v4 hybrid", "block_02/layer_scale", "by block_02/attention/output/open"),
    ],
)
def test_open_where_nothing_reads_it_is_refused(family, path, reason):
    own = weights(family)
    misplaced = {**own, path: {**own[path], "open": jnp.zeros(1)}}
    with pytest.raises(UnskippableError, match=reason):
        backbone(family).apply(misplaced, images()[0][0])


def test_it_is_read_in_every_norm_mode():
    closed = opened("mobilenet_v2", "block_03", 0)
    apply = backbone("mobilenet_v2").apply
    membership, axes = jnp.ones(1), ("examples",)
    for mode in ("batch", "ema"):
        endpoints = jax.vmap(
            lambda image, mode=mode: apply(closed, image, mode, membership, axes).endpoints,
            axis_name="examples",
        )
        made = jax.jit(endpoints, compiler_options=QUICK)(images()[0])
        np.testing.assert_array_equal(made["block_03"], made["block_02"])
