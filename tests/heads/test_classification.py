"""The wide head against each task's own softmax, in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.heads import classification, wide


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
