"""What every backbone must do: narrow ones in numbers, those of the registry in shapes."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from adapters.backbones import registry
from adapters.backbones.builder import build, expected_shapes
from adapters.backbones.rows import Attention, InvertedResidual, Separable, UniversalBottleneck
from adapters.heads import wide
from adapters.patches.contract import PatchParams
from adapters.patches.depthwise import depthwise
from adapters.patches.full import full
from adapters.patches.scale_bias import scale_bias
from adapters.runtime.fold import fold_norms
from adapters.training.forward import mixed_forward
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.quick import QUICKEST

TASKS = np.asarray([0, 2, 1, 0], np.int32)


every_family = pytest.mark.parametrize("family", FAMILIES)


@functools.cache
def backbone(family):
    return build(FAMILIES[family], "same", narrow.EPSILON)


@functools.cache
def weights(family):
    return narrow.disturbed(
        jax.jit(backbone(family).init, compiler_options=QUICKEST)(jax.random.key(0)), seed=1
    )


@functools.cache
def network(family):
    apply = jax.vmap(backbone(family).apply, (None, 0))
    return jax.jit(
        lambda weights, images: apply(weights, images).features, compiler_options=QUICKEST
    )


def images(groups=1, examples=4):
    return narrow.normalised(narrow.images(groups, examples)[0])


@functools.cache
def gradients(family):
    """(tasks, images) -> gradients of a loss for every task's own copy of all weights; logits."""
    forward = mixed_forward(backbone(family), full(), narrow.LAYOUT, "frozen")
    own = [
        full().init(jax.random.key(0), narrow.disturbed(weights(family), seed)).trained
        for seed in range(3)
    ]
    rows = jax.tree.map(lambda *leaves: np.stack(leaves), *own)
    features = FAMILIES[family].features
    head = narrow.disturbed(wide.initial(len(narrow.LAYOUT.owners), features), seed=5)

    def loss(rows, tasks, images):
        keys, progress = jax.random.split(jax.random.key(0), images.shape[:2]), jnp.zeros(())
        patches = PatchParams(rows)
        inputs = {"image": images}
        made = forward(weights(family), patches, {"": head}, tasks, inputs, keys, progress)
        logits = made.own["logits"]
        return jnp.sum(jax.nn.logsumexp(logits, axis=-1)), logits

    compiled = jax.jit(jax.grad(loss, has_aux=True), compiler_options=QUICKEST)
    return lambda tasks, images: jax.device_get(compiled(rows, tasks, images))


@every_family
def test_gradients_reach_every_weight(family):
    of_weights, logits = gradients(family)(jnp.asarray(TASKS), images(4, 2))
    assert np.isfinite(logits).all()
    for path, leaf in jax.tree_util.tree_leaves_with_path(of_weights):
        assert np.isfinite(leaf).all(), path
        assert (np.abs(leaf).reshape(3, -1).max(axis=1) > 0).all(), path


@every_family
def test_a_mixed_batch_equals_runs_of_each_task_alone(family):
    batch = images(4, 2)
    mixed, logits = gradients(family)(jnp.asarray(TASKS), batch)
    for task in range(3):
        groups = np.flatnonzero(task == TASKS)
        copies = len(TASKS) // len(groups)
        alone, alone_logits = gradients(family)(
            jnp.full(len(TASKS), task, jnp.int32), jnp.tile(batch[groups], (copies, 1, 1, 1, 1))
        )
        np.testing.assert_allclose(
            logits[groups], alone_logits[: len(groups)], rtol=1e-5, atol=1e-5
        )
        own = jax.tree.map(
            lambda leaf, other, task=task, copies=copies: (leaf[task], other[task] / copies),
            mixed,
            alone,
        )
        largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(own))
        for one, other in jax.tree.leaves(own, is_leaf=lambda leaf: isinstance(leaf, tuple)):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * largest)


@every_family
def test_scale_and_bias_start_bit_identical(family):
    params = scale_bias().init(jax.random.key(0), weights(family))
    patched = scale_bias().apply(weights(family), params, {})
    before = np.asarray(network(family)(weights(family), images()[0]))
    assert np.asarray(network(family)(patched, images()[0])).tobytes() == before.tobytes()


@every_family
def test_two_devices_give_what_one_gives(family):
    mesh = narrow.mesh(2)
    spread = jax.device_put(images()[0], NamedSharding(mesh, PartitionSpec("data")))
    everywhere = jax.device_put(weights(family), NamedSharding(mesh, PartitionSpec()))
    found = network(family)(everywhere, spread)
    assert len(found.sharding.device_set) == 2
    alone = network(family)(weights(family), images()[0])
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-5)


@every_family
def test_bfloat16_stays_bfloat16_up_to_the_pool_and_near(family):
    def halved(tree):
        return jax.tree.map(lambda leaf: np.asarray(leaf).astype(jnp.bfloat16), tree)

    half, given = halved(weights(family)), halved(images()[0])
    outputs = jax.eval_shape(backbone(family).apply, half, given[0])
    assert {each.dtype for each in outputs.endpoints.values()} == {np.dtype(jnp.bfloat16)}
    found = network(family)(half, given)
    assert found.dtype == jnp.float32  # the mean of a map's pixels is taken in float32
    exact = np.asarray(network(family)(weights(family), images()[0]))
    difference = np.abs(np.asarray(found, np.float32) - exact).max()
    assert difference < 0.05 * np.abs(exact).max()


@every_family
def test_folded_equals_unfolded(family):
    folded = fold_norms(jax.tree.map(np.asarray, weights(family)), narrow.EPSILON)
    chex.assert_trees_all_close(
        network(family)(folded, images()[0]),
        network(family)(weights(family), images()[0]),
        rtol=1e-4,
        atol=1e-4,
    )


def test_every_family_of_the_registry_is_here():
    prefixes = {family.split(" ")[0] for family in FAMILIES} | {"efficientnet"}
    assert [name for name in registry.TABLES if not name.startswith(tuple(prefixes))] == []


def depthwise_layers(row):
    """How many depthwise convolutions a row has, by its columns."""
    match row:
        case Separable() | InvertedResidual():
            return 1
        case UniversalBottleneck():
            return bool(row.kernel) + bool(row.start_kernel)
        case Attention():
            return 2 if row.key_stride > 1 else 0
        case _:
            return 0


@pytest.mark.parametrize("name", registry.TABLES)
def test_patches_find_every_depthwise_kernel_and_norm(name):
    table = registry.table(name)
    shapes = {
        path: {leaf: jax.ShapeDtypeStruct(shape, jnp.float32) for leaf, shape in leaves.items()}
        for path, leaves in expected_shapes(table).items()
    }
    kernels = jax.eval_shape(depthwise().init, jax.random.key(0), shapes).trained
    assert len(kernels) == sum(depthwise_layers(row) for row in table.rows)
    assert all(leaves["w"].shape[2] == 1 for leaves in kernels.values())
    norms = jax.eval_shape(scale_bias().init, jax.random.key(0), shapes).trained
    assert set(norms) == {path for path, leaves in shapes.items() if "mean" in leaves}
