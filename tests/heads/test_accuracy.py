"""Scores from counts, against counting one by one."""

import numpy as np
import pytest

from adapters.heads import classification
from adapters.heads.contract import TargetError


def test_counts_and_accuracy_agree_with_counting_one_by_one():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 5, (2, 200))
    counts = classification.confusion_counts(labels, predictions, 5)
    for row in range(5):
        for column in range(5):
            both = sum(
                label == row and guess == column
                for label, guess in zip(labels, predictions, strict=True)
            )
            assert counts[row, column] == both
    metric = classification.classification().metric
    assert metric.result(counts)["accuracy"].value == np.mean(labels == predictions)


def test_counts_of_batches_add_up():
    labels, predictions = np.array([0, 1, 1, 2]), np.array([0, 2, 1, 2])
    halves = [(labels[half::2], predictions[half::2]) for half in range(2)]
    parts = sum(classification.confusion_counts(*half, 3) for half in halves)
    np.testing.assert_array_equal(parts, classification.confusion_counts(labels, predictions, 3))


def test_hidden_labels_and_no_labels_are_refused():
    with pytest.raises(TargetError, match=r"-1\.\.0"):
        classification.confusion_counts(np.array([-1, 0]), np.array([0, 0]), 2)
    metric = classification.classification().metric
    with pytest.raises(TargetError, match="no examples"):
        metric.result(metric.init(2))
