"""What every patch must do, whichever family it is."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones import registry
from adapters.backbones.builder import expected_shapes
from adapters.inference.compiled import inference
from adapters.runtime.fold import fold_norms
from adapters.store import read, write
from adapters.store.contents import Parity, PatchContents
from adapters.store.edits import apply_edits
from adapters.training import packing
from adapters.training.forward import mixed_forward
from adapters.training.recipe import Recipe
from adapters.training.step import trainer
from tests import narrow
from tests.patches.table import ENTRIES
from tests.quick import QUICKEST, compiled_quickly

RECIPE = Recipe(steps=10, patch_rate=1e-2, head_rate=1e-2, warmup=0.0)
TASKS = np.asarray([0, 2, 1, 0], np.int32)

every_patch = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


@functools.cache
def run(entry):
    """A trainer, a state whose tasks all differ, and a batch of four groups."""
    recipe = Recipe(**{**RECIPE.__dict__, "norm": entry.norm})
    about = narrow.BACKBONE, entry.patch, narrow.HEADS, recipe, narrow.PIXELS, narrow.mesh()
    with compiled_quickly():
        made = trainer(*about)
    pixels, labels = narrow.images(4, 2)
    return made, batch_of(entry, TASKS, pixels, labels)


def batch_of(entry, tasks, pixels, labels):
    batch = narrow.batch(tasks, pixels, labels)
    others = with_others(entry, narrow.normalised(pixels))
    return batch._replace(inputs={**others, "image": pixels})


def different_tasks(entry):
    made, _ = run(entry)
    state = made.init(jax.random.key(0), shared(entry))
    placed = jax.tree.map(lambda leaf: leaf.sharding, state)
    patches, heads = narrow.disturbed((state.patches, state.heads), seed=2)
    # To both sides of where they began: scores of masks cross their threshold, those of gates not.
    trained = jax.tree.map(lambda leaf: np.asarray(leaf) - 0.05, patches.trained)
    patches = patches._replace(trained=trained)
    # Where training put them: elsewhere, the same step would be compiled a second time.
    return jax.device_put(state._replace(patches=patches, heads=heads), placed)


@functools.cache
def shared(entry):
    """The narrow network's weights with what the patch adds for all tasks, none of it trivial."""
    extended = drawn(entry.patch.extend, narrow.weights())
    added = {path: leaves for path, leaves in extended.items() if path not in narrow.weights()}
    return {**extended, **narrow.disturbed(added, seed=3)}


def drawn(function, weights):
    """What a patch draws for these weights, as one program: many random numbers, many programs."""
    return jax.jit(function, compiler_options=QUICKEST)(jax.random.key(0), weights)


@functools.cache
def compiled(entry):
    return inference(narrow.BACKBONE, 4, narrow.SIZE, entry.patch.prepare)


def network(entry):
    """(weights, images) -> features, of weights from anywhere, so that one program serves all."""
    features = compiled(entry).features
    return lambda weights, images: features(jax.device_get(weights), with_others(entry, images))


def with_others(entry, images):
    """The image, and what the patch reads beside it: alike for images [..., H, W, 3] that are."""
    batch = images.shape[:-3]
    spots = jnp.mean(images, axis=(-3, -2))[..., :1]  # [..., 1]
    others = {name: spots * jnp.ones((*batch, *shape)) for name, shape in entry.patch.needs}
    return {"image": images, **others}


def bits(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf).tobytes(), tree)


@every_patch
def test_outputs_start_bit_identical(entry):
    params = drawn(entry.patch.init, shared(entry))
    patched = entry.patch.apply(shared(entry), params, {})
    images = narrow.normalised(narrow.images(1, 4)[0][0])
    plain = inference(narrow.BACKBONE, 4, narrow.SIZE)
    before = plain.features(narrow.weights(), {"image": images})
    assert (bits(network(entry)(patched, images)) == bits(before)) == entry.alike


@every_patch
def test_training_moves_the_present_tasks_trained_leaves_and_nothing_else(entry):
    made, _ = run(entry)
    before = different_tasks(entry)
    weights_before, rows_before = bits(shared(entry)), bits(before.patches)
    pixels, labels = narrow.images(4, 2)
    present = batch_of(entry, [0, 2, 0, 2], pixels, labels)
    after, _ = made.step(before, shared(entry), present, jax.random.key(0))
    assert bits(shared(entry)) == weights_before
    rows_after = bits(after.patches)
    assert rows_after.fixed == rows_before.fixed
    for old, new in zip(
        jax.tree.leaves(rows_before[:2]), jax.tree.leaves(rows_after[:2]), strict=True
    ):
        row = len(old) // 3
        moved = [old[i * row : i * row + row] != new[i * row : i * row + row] for i in range(3)]
        assert moved == [True, False, True]


@every_patch
def test_a_step_compiles_once(entry):
    """No leaf may come back as another type, a weak one made strong, than it went in."""
    made, batch = run(entry)
    state = made.init(jax.random.key(0), shared(entry))
    before = jax.tree.map(jax.typeof, state)
    after, _ = made.step(state, shared(entry), batch, jax.random.key(0))
    assert jax.tree.map(jax.typeof, after) == before


@every_patch
def test_training_does_the_same_to_a_network_of_leaves_of_another_size(entry):
    """Sizes that the next layer takes back change no output, and must not change what is learned.

    Three steps, since heads begin at zero: the distance between both networks' features is small
    beside the one that training has moved them.
    """
    made, batch = run(entry)
    images = narrow.normalised(narrow.images(1, 4)[0][0])
    starts, ends = [], []
    for weights in (shared(entry), resized(shared(entry))):
        state = made.init(jax.random.key(0), weights)
        starts.append(features(entry, state, weights, images))
        for _ in range(3):
            state, _ = made.step(state, weights, batch, jax.random.key(1))
        ends.append(features(entry, state, weights, images))
    np.testing.assert_allclose(*starts, rtol=1e-4, atol=1e-5)
    moved = np.abs(ends[0] - starts[0]).max()
    assert np.abs(ends[1] - ends[0]).max() < 0.05 * moved + 1e-5


def features(entry, state, weights, images):
    params = packing.task_params(state, 0)
    return np.asarray(network(entry)(entry.patch.apply(weights, params, {}), images))


def resized(weights, factor=4.0):
    """The same function: block_03 gets and gives larger maps, and its depthwise layer larger sums.

    Its input and its output are one map by the sum, so both leave their norms larger, and both of
    their readers have smaller kernels.
    """
    inverse = 1 / factor
    factors = {
        "block_02/project/norm": {"scale": factor, "offset": factor},
        "block_03/expand": {"w": inverse, "bases": inverse},
        "block_03/depthwise": {"w": factor, "bases": factor},
        "block_03/depthwise/norm": {"mean": factor},
        "block_03/project/norm": {"scale": factor, "offset": factor},
        "tail": {"w": inverse},
    }
    changed = {path: dict(leaves) for path, leaves in weights.items()}
    for path, own in factors.items():
        changed[path].update(
            {
                name: np.asarray(changed[path][name]) * np.float32(own[name])
                for name in own.keys() & changed[path].keys()
            }
        )
    norm = changed["block_03/depthwise/norm"]
    norm["var"] = factor**2 * (np.asarray(norm["var"]) + narrow.EPSILON) - narrow.EPSILON
    return changed


@every_patch
def test_only_trained_leaves_get_gradients(entry):
    """The network's own gradient: finite and not zero for each leaf the patch says it trains."""
    gradients = compiled_gradients(entry, "frozen")
    images = narrow.normalised(run(entry)[1].inputs["image"])
    (of_patches, _), _ = gradients(jnp.asarray(TASKS), images)
    for leaf in jax.tree.leaves(of_patches):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0
    params = jax.eval_shape(entry.patch.init, jax.random.key(0), shared(entry))
    assert jax.tree.structure(of_patches) == jax.tree.structure(params.trained)


@every_patch
def test_folded_equals_unfolded(entry):
    state = different_tasks(entry)
    params = packing.task_params(state, 1)
    patched = entry.patch.apply(shared(entry), params, {})
    images = narrow.normalised(narrow.images(1, 4)[0][0])
    edited = apply_edits(
        jax.tree.map(np.asarray, shared(entry)), packing.task_edits(entry.patch, params)
    )
    folded = fold_norms(edited, narrow.EPSILON)
    np.testing.assert_allclose(
        network(entry)(folded, images), network(entry)(patched, images), rtol=1e-4, atol=1e-5
    )


@every_patch
def test_saved_edits_load_bit_exact(entry, tmp_path):
    state = different_tasks(entry)
    params = packing.task_params(state, 1)
    head = packing.task_head(state, narrow.HEADS, 1)
    edits = packing.task_edits(entry.patch, params)
    contents = PatchContents(
        task="one",
        task_version="1.0.0",
        patch=entry.name,
        backbone="narrow",
        fingerprint="0" * 64,
        norm=entry.norm,
        labels=("a", "b"),
        metric="accuracy",
        scores={"validation": 0.5},
        preprocessing={},
        parity=Parity(0, (32, 32, 3), (0.0, 0.0), 1e-3),
        edits=edits,
        head=head,
    )
    write.write_patch(tmp_path / "one.patch", contents)
    loaded = read.read_patch(tmp_path / "one.patch")
    numpy_weights = jax.tree.map(np.asarray, shared(entry))
    applied = apply_edits(numpy_weights, loaded.edits)
    patched = entry.patch.apply(shared(entry), params, {})
    assert bits(loaded.edits) == bits(edits)
    if loaded.edits.keys() <= {"replace", "mask"}:
        assert bits(applied) == bits(patched)
    images = narrow.normalised(narrow.images(1, 4)[0][0])
    np.testing.assert_allclose(
        network(entry)(applied, images), network(entry)(patched, images), rtol=1e-4, atol=1e-6
    )
    assert bits(dict(loaded.head)) == bits(head)
    size = write.patch_size(contents)
    assert size.total == (tmp_path / "one.patch").stat().st_size
    stored = sum(int(bits) for bits in entry.patch.cost(params).values())
    assert 8 * (size.edits + size.statistics) == stored


@every_patch
def test_a_mixed_batch_equals_runs_of_each_task_alone(entry):
    """Inference, and training: losses' gradients with respect to every task's own row.

    A task alone fills the whole batch with copies of its groups: the moments stay the same, and
    gradients grow by the number of copies. So one compiled program serves both.
    """
    images = narrow.normalised(run(entry)[1].inputs["image"])
    for mode in {"frozen", entry.norm}:
        gradients = compiled_gradients(entry, mode)
        mixed, logits = gradients(jnp.asarray(TASKS), images)
        for task in (0, 1, 2):
            groups = np.flatnonzero(task == TASKS)
            copies = len(TASKS) // len(groups)
            alone, alone_logits = gradients(
                jnp.full(len(TASKS), task, jnp.int32),
                jnp.tile(images[groups], (copies, 1, 1, 1, 1)),
            )
            alone = jax.tree.map(lambda leaf, n=copies: leaf / n, alone)
            np.testing.assert_allclose(
                logits[groups], alone_logits[: len(groups)], rtol=1e-5, atol=1e-5
            )
            own = jax.tree.map(lambda leaf, task=task: leaf[task], (mixed[0], alone[0]))
            chex.assert_trees_all_close(own[0], own[1], rtol=1e-5, atol=1e-5 * largest(own[0]))
            rows = narrow.LAYOUT.rows(task)
            head = np.asarray(mixed[1]["w"][rows])
            np.testing.assert_allclose(
                head, alone[1]["w"][rows], rtol=1e-5, atol=1e-5 * largest(head)
            )
            elsewhere = np.delete(np.asarray(alone[1]["w"]), rows, axis=0)
            assert not elsewhere.any()


def largest(tree):
    return max((float(np.abs(leaf).max()) for leaf in jax.tree.leaves(tree)), default=0.0)


@functools.cache
def compiled_gradients(entry, mode):
    """(tasks, images) -> gradients of a loss with respect to (patches, head), and the logits."""
    state = different_tasks(entry)
    forward = mixed_forward(narrow.BACKBONE, entry.patch, narrow.LAYOUT, mode)

    def loss(owned, tasks, images):
        patches = state.patches._replace(trained=owned[0])
        run = jax.random.split(jax.random.key(0), images.shape[:2]), jnp.ones(())
        heads = {**state.heads["classification"], "": owned[1]}
        inputs = with_others(entry, images)
        made = forward(shared(entry), patches, heads, tasks, inputs, *run)
        every = made.own, *(other.predictions for other in made.auxiliary.values())
        total = sum(jnp.sum(jax.nn.logsumexp(each["logits"], axis=-1)) for each in every)
        return total, made.own["logits"]

    gradient = jax.jit(jax.grad(loss, has_aux=True), compiler_options=QUICKEST)
    owned = state.patches.trained, narrow.head(state)
    return lambda tasks, images: jax.device_get(gradient(owned, tasks, images))


@every_patch
def test_stored_values_equal_the_golden_figure(entry):
    zeros = {
        path: {name: np.zeros(shape, np.float32) for name, shape in leaves.items()}
        for path, leaves in expected_shapes(registry.table("mobilenet_v2_1.0")).items()
    }
    params = drawn(entry.patch.init, drawn(entry.patch.extend, zeros))
    assert sum(int(bits) for bits in entry.patch.cost(params).values()) == entry.bits


@every_patch
def test_a_swap_compiles_nothing(entry):
    state = different_tasks(entry)
    images = narrow.normalised(narrow.images(1, 4)[0][0])

    def answers(task):
        params = packing.task_params(state, task)
        return network(entry)(entry.patch.apply(shared(entry), params, {}), images)

    first, programs = answers(0), compiled(entry).taps._cache_size()
    others = answers(1), answers(2)
    assert compiled(entry).taps._cache_size() == programs
    assert (np.abs(first - others[0]).max() > 0) == (entry.bits > 0)
