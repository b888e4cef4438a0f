"""How classes were answered, against counting and by worked examples."""

import math
from collections import Counter

import numpy as np
import pytest

from adapters.heads import classification
from adapters.heads.assessment import Assessment, balanced_accuracy, majority_baseline
from adapters.heads.registry import HEADS, from_spec

RNG = np.random.default_rng(0)
SHAPES = {"w": (5, 3), "b": (3,), "preview/w": (5, 3)}
# 150 cats and 10 dogs, each taken for a cat: an accuracy of 93.75 %.
CATS_ALONE = Assessment(("cat", "dog"), (0,) * 150 + (1,) * 10, (0,) * 160, (0.9375,) * 160)


def test_a_model_that_never_says_dog_is_no_better_than_saying_cat():
    head, truth = from_spec("classification"), np.array(CATS_ALONE.truth)
    logits = np.tile([2.0, 0.0], (160, 1))
    state = head.metric.update(head.metric.init(2), {"logits": logits}, {"label": truth})
    found = {name: figure.value for name, figure in head.metric.result(state).items()}
    assert found == {"accuracy": 0.9375, "balanced accuracy": 0.5, "majority baseline": 0.9375}
    (dog,) = CATS_ALONE.missed
    assert (dog.label, dog.images, dog.recall, dog.precision) == ("dog", 10, 0.0, None)
    assert CATS_ALONE.calibration_error == pytest.approx(0)


def test_figures_of_classes_agree_with_counting_one_by_one():
    labels = tuple("abcdef")
    truth, answers = RNG.integers(0, 5, 200).tolist(), RNG.integers(0, 6, 200).tolist()
    made = Assessment(labels, tuple(truth), tuple(answers), tuple(RNG.random(200)))
    pairs, recalls = Counter(zip(truth, answers, strict=True)), []
    for number, one in enumerate(made.classes):
        assert one.label == labels[number]
        assert (one.images, one.answered) == (truth.count(number), answers.count(number))
        assert one.found == pairs[number, number]
        assert one.precision == pairs[number, number] / answers.count(number)
        if number < 5:
            recalls.append(pairs[number, number] / truth.count(number))
            assert one.recall == recalls[-1]
    assert made.classes[5].recall is None
    assert balanced_accuracy(made.counts) == pytest.approx(sum(recalls) / 5)
    assert majority_baseline(made.counts) == max(map(truth.count, range(5))) / 200
    assert made.missed == []


def test_calibration_is_the_distance_of_confidence_to_accuracy():
    """Four answers at 0.9 of which two are right, one at 0.6 that is, one at 1 that is not."""
    confidence = (0.9, 0.9, 0.9, 0.9, 0.6, 1.0)
    made = Assessment(("a", "b"), (0, 0, 1, 1, 1, 0), (0, 0, 0, 0, 1, 1), confidence)
    assert made.calibration_error == pytest.approx((4 * 0.4 + 0.4 + 1.0) / 6)
    filled = [one for one in made.bins if one.images]
    assert [one.images for one in filled] == [1, 4, 1]
    assert [one.accuracy for one in filled] == [1.0, 0.5, 0.0]
    for one in filled:
        assert one.lowest < one.confidence <= one.highest
    assert math.fsum(one.images for one in made.bins) == 6


def test_mistakes_come_with_the_surest_first():
    made = Assessment(("a", "b"), (0, 1, 0, 1), (1, 1, 1, 0), (0.6, 0.99, 0.8, 0.8))
    assert made.mistakes == [2, 3, 0]


@pytest.mark.parametrize("kind", HEADS)
def test_heads_that_tell_classes_apart_are_assessed_by_them(kind):
    head = from_spec(kind)
    numbers = any(target.per != "image" for target in head.targets.values())
    told = (head.balanced, head.scaled, head.assess)
    assert [one is None for one in told] == [numbers] * 3
    if head.assess is None:
        return
    truth, logits = RNG.integers(0, 3, 50), {"logits": RNG.normal(size=(50, 3))}
    made = head.assess(("a", "b", "c"), logits, {"label": truth})
    np.testing.assert_array_equal(
        made.counts, head.metric.update(head.metric.init(3), logits, {"label": truth})
    )
    for place in range(50):
        said = head.decode(("a", "b", "c"), {"logits": logits["logits"][place]})
        assert said.label == "abc"[made.answers[place]]
        assert made.confidence[place] == pytest.approx(said.probabilities[said.label])


def test_a_temperature_makes_probabilities_right_and_changes_no_answer():
    """Labels drawn from what logits over 3 say: 3 comes out, and from those over a third too."""
    logits = RNG.normal(size=(20_000, 4)) * 4
    shares = np.exp(logits / 3) / np.exp(logits / 3).sum(axis=1, keepdims=True)
    labels = (RNG.random((len(logits), 1)) > shares.cumsum(axis=1)).sum(axis=1)
    assert classification.temperature(logits, labels) == pytest.approx(3, rel=0.05)
    assert classification.temperature(logits / 9, labels) == pytest.approx(1 / 3, rel=0.05)


def test_a_temperature_has_the_least_cross_entropy_and_stays_above_zero():
    logits, labels = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), np.array([0, 0, 1])

    def cross_entropy(divisor):
        """Of the three, and of a fourth of any class spread over them."""
        log = logits / divisor - np.log(np.exp(logits / divisor).sum(axis=1, keepdims=True))
        return -(0.75 * log[range(3), labels] + 0.25 * log.mean(axis=1)).sum()

    found = classification.temperature(logits, labels)
    tried = np.geomspace(0.01, 100, 2001)
    assert found == pytest.approx(tried[np.argmin([cross_entropy(one) for one in tried])], rel=0.01)


def test_a_scaled_head_is_divided_by_the_temperature():
    head, labels = from_spec("classification"), RNG.integers(0, 3, 40)
    weights = {name: RNG.normal(size=size).astype(np.float32) for name, size in SHAPES.items()}
    features = RNG.normal(size=(40, 5)).astype(np.float32)
    said = head.apply(weights, {"features": features})
    scaled = head.scaled(weights, said, {"label": labels})
    divisor = classification.temperature(said["logits"], labels)
    after = head.apply(scaled, {"features": features})["logits"]
    np.testing.assert_allclose(after * divisor, said["logits"], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(after.argmax(axis=1), said["logits"].argmax(axis=1))
    assert classification.temperature(after, labels) == pytest.approx(1, rel=1e-3)
    assert scaled["w"].dtype == np.float32
    np.testing.assert_array_equal(scaled["preview/w"], weights["preview/w"])
