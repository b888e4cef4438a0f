"""Panoptic segmentation: what it is trained on, what ReMaX changes, and what is answered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.heads.contract import HeadSettingError, TargetError
from adapters.heads.masks import relaxation
from adapters.heads.masks.hungarian import assignment
from adapters.heads.registry import from_spec
from adapters.heads.together import TaskHeads
from tests.heads.false_positives import balances
from tests.quick import QUICKEST

GENERATOR = np.random.default_rng(0)
CHANNELS = {"stride_8": 5, "stride_16": 4}
TAPS = {
    "stride_8": GENERATOR.normal(size=(4, 4, 5)).astype(np.float32),
    "stride_16": GENERATOR.normal(size=(2, 2, 4)).astype(np.float32),
}
TRUTH = np.array([[0, 0, 1, 1], [0, 0, 101, 1], [200, 200, 101, -1], [200, 200, 201, 201]])
TRUTH = TRUTH.repeat(2, 0).repeat(2, 1).astype(np.int32)
SIZES = "queries=6, dimension=8, blocks=2"
PLAIN = from_spec(f"panoptic({SIZES})")
REMAX = from_spec(f"panoptic({SIZES}, remask=true, reclass=0.1)")
OWN = jnp.ones(3, bool)


@pytest.fixture(scope="module")
def weights():
    """Random ones of all that is trained, the auxiliary layer among it."""
    shapes = REMAX.in_training.shapes(CHANNELS, 3)
    return {name: GENERATOR.normal(size=shape, scale=0.5) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def predictions(weights):
    weights = {name: np.float32(values) for name, values in weights.items()}
    return REMAX.in_training.apply(weights, TAPS)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_assignments_are_scipys(size):
    """Of random costs, of whole numbers (many are equal), and of rows that cost nothing."""
    optimize = pytest.importorskip("scipy.optimize")  # JAX brings it along
    costs = GENERATOR.normal(size=(12, size, size)).astype(np.float32)
    costs[::3] = costs[::3].round()
    costs[1, size // 2 :] = 0
    assigned = jax.jit(jax.vmap(assignment), compiler_options=QUICKEST)(costs)
    for table, found in zip(costs, assigned, strict=True):
        assert sorted(found.tolist()) == list(range(size))
        least = table[optimize.linear_sum_assignment(table)].sum()
        assert table[np.arange(size), found].sum() == pytest.approx(least, abs=1e-5)


def test_an_assignment_of_what_is_no_number_ends():
    found = jax.jit(assignment, compiler_options=QUICKEST)(jnp.full((3, 3), jnp.nan))
    assert sorted(found.tolist()) == [0, 1, 2]


def test_no_gradient_of_the_panoptic_loss_reaches_the_semantic_scores(predictions):
    """Exactly none, of each of its terms; that of the semantic loss does."""

    def terms(semantic):
        said = {**predictions, "semantic": semantic}
        return REMAX.loss(said, {"segments": TRUTH}, OWN, 0.0, 0.0)

    found = jax.jit(jax.jacrev(terms), compiler_options=QUICKEST)(predictions["semantic"])
    assert set(found) == {"classes", "masks", "mask_ids", "semantic"}
    for name, gradient in found.items():
        assert gradient.any() == (name == "semantic")


def test_relaxed_masks_by_hand():
    """Two pixels, one mask, two classes: one that is as likely as not, and one that is sure."""
    masks, semantic = np.array([[2.0], [-3.0]]), np.array([[0.0, 50.0], [-np.inf, -np.inf]])
    found = relaxation.remasked(masks, jnp.asarray(semantic), jnp.asarray([[0.0, 50.0]]))
    np.testing.assert_allclose(found, [[2 + (0.25 + 1) * 2], [-3]], rtol=1e-6)


def test_where_no_class_is_likely_masks_and_losses_are_as_they_were(predictions):
    """Of the masks' own terms: the classes are those of plain training but for ReClass."""
    never = {**predictions, "semantic": np.full_like(predictions["semantic"], -np.inf)}
    masks = predictions["masks"][0].reshape(16, 6)
    logits = predictions["logits"][0][:, 1:]
    same = relaxation.remasked(masks, never["semantic"].reshape(16, 3), jnp.asarray(logits))
    np.testing.assert_array_equal(same, masks)
    targets = {"segments": TRUTH}
    plain, relaxed, other = (
        jax.jit(head.loss, compiler_options=QUICKEST)(said, targets, OWN, 0.0, 0.0)
        for head, said in ((PLAIN, predictions), (REMAX, never), (REMAX, predictions))
    )
    for name in ("masks", "mask_ids"):
        assert float(relaxed[name]) == pytest.approx(float(plain[name]), rel=1e-5)
        assert float(other[name]) != pytest.approx(float(plain[name]), rel=1e-2)


def test_relaxed_classes_by_hand():
    wanted, overlaps = np.eye(3)[[1]], np.array([[0.25, 0.5, 0.25]])
    found = relaxation.reclassed(wanted, overlaps, 0.1)
    np.testing.assert_allclose(found, [[0.025, 1, 0.025]])


def test_what_ships_knows_nothing_of_training(weights):
    """Neither leaves nor answers differ, to the bit, from those of a head that was not relaxed."""
    bare = from_spec(f"panoptic({SIZES}, semantic=0)")
    layout = TaskHeads((REMAX,), (3,)).layout("panoptic")
    table = {name: jnp.asarray(values, jnp.float32)[None] for name, values in weights.items()}
    shipped = layout.weights(table, 0)
    assert set(weights) - set(shipped) == {"semantic/w", "semantic/b"}
    assert {name: own.shape for name, own in shipped.items()} == bare.shapes(CHANNELS, 3)
    assert {head.computes for head in (bare, PLAIN, REMAX)} == {"panoptic(queries=6, dimension=8)"}
    answers = [head.apply(shipped, TAPS) for head in (bare, PLAIN, REMAX)]
    trained = jax.jit(layout.predictions, compiler_options=QUICKEST)(table, TAPS, jnp.int32(0))
    for name, values in answers[0].items():
        for other in answers[1:]:
            np.testing.assert_array_equal(other[name], values)
        np.testing.assert_allclose(trained[name][-1], values, rtol=1e-4, atol=1e-4)
    assert "semantic" in trained


def test_most_of_a_mask_s_loss_is_where_it_should_not_be():
    """Of the first weights. Where classes are right, masks change on their own class alone."""
    plain, relaxed, right = balances(PLAIN, TAPS, TRUTH, 3)
    assert plain.false_positives > 2 * plain.false_negatives
    assert relaxed != plain != right
    one = np.where(TRUTH == 0, 0, 100)  # no class has a second segment
    plain, _, right = balances(PLAIN, TAPS, one, 2)
    assert right.false_positives == pytest.approx(plain.false_positives, rel=1e-2)
    assert right.false_negatives != pytest.approx(plain.false_negatives, rel=1e-2)


def test_masks_of_one_surface_are_one_segment():
    """Two masks of the surface, two of the thing, one unsure, one of nothing."""
    masks = 9 * np.eye(6)[np.array([[0, 1, 2], [3, 4, 5]])]
    logits = np.array([[0, 9, 0], [0, 8, 0], [0, 0, 9], [0, 0, 7], [0, 0.1, 0], [9, 0, 0]])
    head = from_spec("panoptic(stuff=1, queries=6)")
    said = head.decode(("sand", "crab"), {"logits": logits, "masks": masks})
    assert said.label == "sand, 2 crab"
    numbers = said.numbers(2, 3)
    assert numbers[0, 0] == numbers[0, 1]
    assert len({*numbers[0], numbers[1, 0]}) == 3
    assert numbers[1, 1:].tolist() == [-1, -1]
    assert said.classes[numbers[0, 0]] == 0
    assert said.scores[numbers[0, 0]] == pytest.approx(1 / (1 + 2 * np.exp(-9)))


def test_targets_that_it_cannot_learn_are_refused():
    with pytest.raises(TargetError, match="has 5 segments, and the head predicts 4 at most"):
        from_spec("panoptic(queries=4)").check_targets({"segments": [TRUTH]})
    with pytest.raises(TargetError, match="nothing to learn"):
        PLAIN.check_targets({"segments": [np.full((2, 2), -1)]})
    with pytest.raises(HeadSettingError, match="first 4 are of surfaces"):
        from_spec("panoptic(stuff=4)").check(3)
    with pytest.raises(HeadSettingError, match="has numbers for 327"):
        PLAIN.check(328)
