"""The wide head against each task's own softmax, in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.heads import classification, together, wide


def log_softmax(x):
    shifted = x - x.max()
    return shifted - np.log(np.exp(shifted).sum())


def test_layout():
    layout = wide.layout((3, 2, 5), capacity=12)
    assert layout.starts.tolist() == [0, 3, 5]
    assert layout.owners.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2, 2, -1, -1]
    assert layout.rows(1) == slice(3, 5)


def test_too_many_classes_are_refused():
    with pytest.raises(wide.HeadCapacityError, match="10 rows"):
        wide.layout((3, 2, 5), capacity=9)


def test_a_head_starts_without_preference():
    head = wide.initial(4, 7)
    own = jnp.ones(4, bool)
    assert not wide.predictions(head, {"features": jnp.ones(7)}, own)["logits"].any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_and_gradient_are_the_tasks_own(smoothing):
    generator = np.random.default_rng(0)
    w = generator.normal(size=(10, 7)).astype(np.float32)
    b = generator.normal(size=10).astype(np.float32)
    features = generator.normal(size=7).astype(np.float32)
    own = np.isin(np.arange(10), (3, 4, 5))
    label = 1

    def loss(head):
        said = wide.predictions(head, {"features": jnp.asarray(features)}, jnp.asarray(own))
        return classification.cross_entropy(
            said["logits"], jnp.asarray(3 + label), jnp.asarray(own), smoothing
        )

    value, gradient = jax.value_and_grad(loss)({"w": jnp.asarray(w), "b": jnp.asarray(b)})
    log_p = log_softmax(w[3:6] @ features + b[3:6])
    target = np.full(3, smoothing / 3)
    target[label] += 1 - smoothing
    np.testing.assert_allclose(value, -(target * log_p).sum(), rtol=1e-5)
    difference = np.exp(log_p) - target
    np.testing.assert_allclose(gradient["b"][3:6], difference, atol=1e-6)
    np.testing.assert_allclose(gradient["w"][3:6], np.outer(difference, features), atol=1e-5)
    assert not np.delete(np.asarray(gradient["w"]), [3, 4, 5], axis=0).any()


def test_the_loss_against_a_teacher_sees_the_tasks_own_rows_alone():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=10).astype(np.float32)
    own = np.isin(np.arange(10), (3, 4, 5))
    masked = jnp.where(own, logits, wide.MASKED)
    teacher = np.where(own, [0, 0, 0, 0.2, 0.7, 0.1, 0, 0, 0, 0], 0).astype(np.float32)
    value, gradient = jax.value_and_grad(classification.distilled)(masked, jnp.asarray(teacher))
    log_p = log_softmax(logits[3:6])
    np.testing.assert_allclose(value, -(teacher[3:6] * log_p).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient[3:6], np.exp(log_p) - teacher[3:6], atol=1e-6)
    assert not np.delete(np.asarray(gradient), [3, 4, 5]).any()


def test_a_balanced_loss_adds_what_is_known_without_the_image():
    """Against numpy: what the logits say and the shares of the classes, 6, 3 and 1 of 10."""
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    plain = classification.classification()
    heads = together.TaskHeads((plain, plain.balanced({"label": labels}, 3)), (4, 3))
    placed = heads.placed(1, {"label": np.array([2, 0], np.int32)})
    logits = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    masked = np.full((2, 7), wide.MASKED, np.float32)
    masked[:, 4:] = logits
    own = jnp.arange(7) >= 4

    def loss(masked, targets):
        return plain.loss({"logits": masked}, targets, own, 0.2, 0.0)["cross_entropy"]

    found, gradient = jax.vmap(jax.value_and_grad(loss))(jnp.asarray(masked), placed)
    shares = np.log([0.6, 0.3, 0.1])
    for row, label in enumerate([2, 0]):
        right = log_softmax(logits[row] + shares)[label]
        wanted = -(0.8 * right + 0.2 * log_softmax(logits[row]).mean())
        np.testing.assert_allclose(found[row], wanted, rtol=1e-5)
    assert not np.asarray(gradient)[:, :4].any()


@pytest.mark.parametrize("label", [0, 1])
def test_smoothing_never_makes_a_balanced_loss_favour_the_wrong_class(label):
    """Of classes 1,000 to 1, where a smoothed target is far below the share of the common one."""
    shares = jnp.log(jnp.asarray([1000.0, 1.0]) / 1001.0)

    def loss(logits):
        return classification.cross_entropy(logits, label, jnp.ones(2, bool), 0.1, shares)

    downhill = -jax.grad(loss)(jnp.zeros(2))
    assert downhill[label] > 0 > downhill[1 - label]


def test_a_class_without_examples_keeps_the_loss_finite():
    balanced = classification.classification().balanced({"label": np.array([0, 0, 2])}, 4)
    shares = balanced.standardised({"label": np.array([0])})["log_shares"]
    assert shares.dtype == np.float32
    np.testing.assert_allclose(np.exp(shares), [[2 / 3, 1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
