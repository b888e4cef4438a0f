"""Average precision and thresholds against their definitions, by brute force."""

import numpy as np
import pytest

from adapters.heads.contract import TargetError
from adapters.heads.multilabel import average_precision, best_threshold, multilabel, sigmoid


def precision_and_recall(scores, truth, limit):
    chosen = scores >= limit
    return truth[chosen].sum() / chosen.sum(), truth[chosen].sum() / truth.sum()


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_sums_precision_over_steps_of_recall(seed):
    """Ties included: scores have few values."""
    generator = np.random.default_rng(seed)
    scores, truth = generator.integers(0, 6, 30) / 6, generator.integers(0, 2, 30)
    total = reached = 0.0
    for limit in sorted(set(scores), reverse=True):
        precision, recall = precision_and_recall(scores, truth, limit)
        total, reached = total + (recall - reached) * precision, recall
    assert average_precision(scores, truth) == pytest.approx(total)


def test_average_precision_of_known_orders():
    truth = np.array([1, 0, 1, 0])
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), truth) == pytest.approx(5 / 6)
    assert average_precision(np.array([4.0, 1.0, 3.0, 2.0]), truth) == 1.0
    assert average_precision(np.zeros(4), truth) == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_has_the_best_f1_of_all(seed):
    generator = np.random.default_rng(seed)
    shares, truth = generator.random(40), generator.integers(0, 2, 40)

    def f1(limit):
        held = shares >= limit
        return 2 * (held * truth).sum() / (held.sum() + truth.sum())

    found = best_threshold(shares, truth)
    assert f1(found) == max(f1(limit) for limit in shares)


def test_a_label_that_validation_never_has_keeps_one_half():
    assert best_threshold(np.array([0.1, 0.9]), np.zeros(2)) == 0.5


def test_thresholds_are_chosen_on_validation_and_decide_what_holds():
    logits = np.array([[-2.0, 3.0], [-1.0, 2.0], [-4.0, 1.0]])
    truth = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    plain = multilabel()
    head = plain.after_validation({"logits": logits}, {"labels": truth})
    low, high = head.settings["thresholds"]
    assert sigmoid(-4.0) < low < sigmoid(-2.0)
    assert high < sigmoid(1.0)  # to find the last one, the others come too
    assert plain.decode(("a", "b"), {"logits": logits[0]}).label == "b"
    assert head.decode(("a", "b"), {"logits": logits[0]}).label == "b + a"
    state = head.metric.update((), {"logits": logits}, {"labels": truth})
    assert head.metric.result(state)["F1"].value == pytest.approx(2 * 3 / (5 + 3))


def test_the_baseline_is_the_score_of_who_says_the_same_of_every_image():
    """A label that no image has counts in neither."""
    truth = np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 0, 0]], np.float32)
    head = multilabel()
    state = head.metric.update((), {"logits": np.zeros((4, 3))}, {"labels": truth})
    found = head.metric.result(state)
    assert found["constant baseline"].value == found["mean average precision"].value == 0.5


def test_targets_that_are_no_labels_are_refused():
    head = multilabel()
    with pytest.raises(TargetError, match="1 or 0"):
        head.metric.update((), {"logits": np.zeros((1, 1))}, {"labels": np.full((1, 1), 0.5)})
    state = head.metric.update((), {"logits": np.zeros((1, 1))}, {"labels": np.zeros((1, 1))})
    with pytest.raises(TargetError, match="nothing to find"):
        head.metric.result(state)
