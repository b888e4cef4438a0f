"""What every kind of head must do, by one table; each row is a head and something to learn."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.heads import wide
from adapters.heads.contract import Answer, Head, HeadSettingError, NoAnswerError, TargetError
from adapters.heads.registry import HEADS, from_settings, from_spec
from tests import imports

EXAMPLES, FEATURES = 6, 7
GENERATOR = np.random.default_rng(0)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A head, targets {name: [N, ...]} for three outputs, and logits that predict them well."""

    head: Head
    targets: dict[str, Any]
    right: Any
    loss: Callable[[Any, Any], float]


def _sigmoid_loss(logits: Any, truth: Any) -> float:
    shares = 1 / (1 + np.exp(-logits))
    return -np.mean(truth * np.log(shares) + (1 - truth) * np.log(1 - shares))


def _softmax_loss(logits: Any, label: Any) -> float:
    return np.log(np.exp(logits).sum()) - logits[label]


def _huber_loss(logits: Any, truth: Any) -> float:
    far = np.abs(logits - truth)
    return np.mean([0.5 * d * d if d <= 1 else d - 0.5 for d in far])


CLASSES = np.array([0, 1, 2, 2, 1, 0], np.int32)
LABELS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]], np.float32)
VALUES = np.array(GENERATOR.normal(50, 20, (EXAMPLES, 3)), np.float32)
AGES = from_spec("regression(unit=years)").after_training_targets({"values": VALUES})
ENTRIES = [
    Entry(from_spec("classification"), {"label": CLASSES}, 9 * np.eye(3)[CLASSES], _softmax_loss),
    Entry(from_spec("multilabel"), {"labels": LABELS}, 18 * LABELS - 9, _sigmoid_loss),
    Entry(AGES, {"values": VALUES}, (VALUES - VALUES.mean(0)) / VALUES.std(0), _huber_loss),
]
NAMES = ("rose", "tulip", "daisy")
every_head = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.head.kind)


def test_the_table_has_every_head():
    assert {entry.head.kind for entry in ENTRIES} == set(HEADS)


@every_head
def test_settings_make_the_head_again(entry):
    again = from_settings(entry.head.kind, entry.head.settings)
    assert again.settings == entry.head.settings
    logits = {"logits": GENERATOR.normal(size=3)}
    assert again.listed(NAMES, logits) == entry.head.listed(NAMES, logits)


@every_head
def test_the_loss_in_wide_rows_is_the_task_s_own(entry):
    """Against numpy on its own three outputs; rows of other tasks get exactly no gradient."""
    heads = wide.TaskHeads((from_spec("classification"), entry.head), (2, 3))
    layout = heads.layout(entry.head.kind)
    placed = heads.in_rows(1, entry.targets)
    w = jnp.asarray(GENERATOR.normal(size=(layout.capacity, FEATURES)), jnp.float32)
    table = {"w": w, "b": jnp.zeros(layout.capacity)}
    features = jnp.asarray(GENERATOR.normal(size=(EXAMPLES, FEATURES)), jnp.float32)
    own = jnp.asarray(layout.owners == 1)

    def total(table):
        def one(features, targets):
            said = wide.predictions(table, {"features": features}, own)
            return sum(entry.head.loss(said, targets, own, 0.0, 0.0).values())

        return jax.vmap(one)(features, placed)

    (target,) = entry.head.standardised(entry.targets).values()
    logits = np.asarray(features, np.float64) @ np.asarray(w[layout.rows(1)], np.float64).T
    wanted = [entry.loss(*pair) for pair in zip(logits, target, strict=True)]
    np.testing.assert_allclose(total(table), wanted, rtol=1e-4, atol=1e-5)
    gradient = jax.grad(lambda table: jnp.sum(total(table)))(table)
    elsewhere = np.delete(np.asarray(gradient["w"]), np.arange(layout.capacity)[layout.rows(1)], 0)
    assert not elsewhere.any()
    assert np.abs(gradient["w"]).max() > 0


@every_head
def test_a_teacher_who_is_sure_is_learned_like_the_truth(entry):
    """The part of a teacher is a term of its own; the two shares add up to the whole."""
    heads = wide.TaskHeads((entry.head,), (3,))
    taught = {"teacher": np.asarray(entry.head.soft_targets({"logits": entry.right}), np.float32)}
    placed = heads.in_rows(0, {**entry.targets, **taught})
    own = jnp.ones(3, bool)
    logits = {"logits": jnp.asarray(GENERATOR.normal(size=3), jnp.float32)}
    first = {name: values[0] for name, values in placed.items()}
    alone = sum(entry.head.loss(logits, {**first}, own, 0.0, 0.0).values())
    hard = {name: value for name, value in first.items() if name != "teacher"}
    (plain,) = entry.head.loss(logits, hard, own, 0.0, 0.5).values()
    halves = entry.head.loss(logits, first, own, 0.0, 0.5)
    assert len(halves) == 2
    np.testing.assert_allclose(alone, plain, rtol=1e-6)
    np.testing.assert_allclose(sum(halves.values()), plain, rtol=1e-3, atol=1e-3)


@every_head
def test_the_metric_of_batches_is_that_of_the_whole(entry):
    metric = entry.head.metric
    logits = GENERATOR.normal(size=(EXAMPLES, 3))
    whole = metric.update(metric.init(3), {"logits": logits}, entry.targets)
    state = metric.init(3)
    for part in (slice(0, 2), slice(2, 5), slice(5, 6)):
        own = {name: values[part] for name, values in entry.targets.items()}
        state = metric.update(state, {"logits": logits[part]}, own)
    assert metric.result(state) == metric.result(whole)
    right = metric.update(metric.init(3), {"logits": entry.right}, entry.targets)
    assert metric.result(right)[metric.score].value == pytest.approx(1.0)
    assert metric.result(whole)[metric.score].value < 1
    with pytest.raises(TargetError, match="no examples"):
        metric.result(metric.init(3))


@every_head
def test_an_answer_and_its_json_say_the_same(entry):
    (target,) = entry.targets.values()
    for row in range(EXAMPLES):
        said = {"logits": entry.right[row]}
        answer, listed = entry.head.decode(NAMES, said), entry.head.listed(NAMES, said)
        assert {each["label"] for each in listed} == set(NAMES)
        if isinstance(answer, Answer):
            assert list(answer.probabilities) == [each["label"] for each in listed]
        else:
            found = [answer.values[name] for name in NAMES]
            np.testing.assert_allclose(found, target[row], rtol=1e-5)
    with pytest.raises(NoAnswerError, match="not finite"):
        entry.head.decode(NAMES, {"logits": np.array([0.0, np.nan, 0.0])})


@every_head
def test_one_linear_layer_predicts_for_one_image_and_for_many(entry):
    weights = {"w": np.ones((FEATURES, 3), np.float32), "b": np.arange(3, dtype=np.float32)}
    many = entry.head.apply(weights, {"features": np.ones((2, FEATURES), np.float32)})
    one = entry.head.apply(weights, {"features": jnp.ones(FEATURES)})
    np.testing.assert_array_equal(many["logits"], [[7, 8, 9]] * 2)
    np.testing.assert_array_equal(one["logits"], [7, 8, 9])


def test_answers_and_scores_need_no_jax():
    """They really run, where JAX cannot be imported."""
    code = """
import sys
sys.modules["jax"] = None
import numpy as np
from adapters.heads.registry import HEADS
targets = {"label": np.array([1]), "labels": np.array([[0.0, 1.0]]), "values": np.ones((1, 2))}
for kind, make in HEADS.items():
    head = make()
    said = head.apply({"w": np.ones((3, 2)), "b": np.arange(2.0)}, {"features": np.ones((2, 3))})
    print(kind, head.decode(("a", "b"), {"logits": said["logits"][0]}).label)
    many = {name: np.repeat(values, 2, axis=0) for name, values in targets.items()}
    many["values"][0] = 3.0
    print(head.metric.result(head.metric.update(head.metric.init(2), said, many)))
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=imports.ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "classification b" in ended.stdout
    assert "multilabel b + a" in ended.stdout


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("classification", {"thresholds": [0.5]}),
        ("multilabel", {"thresholds": [1.5]}),
        ("multilabel", {"thresholds": ["0.5"]}),
        ("multilabel", {"thresholds": 0.5}),
        ("regression", {"unit": 3}),
        ("regression", {"mean": [0.0]}),
        ("regression", {"mean": [0.0], "deviation": [0.0]}),
        ("regression", {"mean": [float("nan")], "deviation": [1.0]}),
    ],
)
def test_settings_that_mean_nothing_are_refused(kind, settings):
    with pytest.raises(HeadSettingError):
        from_settings(kind, settings)
