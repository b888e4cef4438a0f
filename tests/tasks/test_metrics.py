"""Scores from counts, against counting one by one."""

import numpy as np
import pytest

from tasks import metrics


def test_counts_and_accuracy_agree_with_counting_one_by_one():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 5, (2, 200))
    counts = metrics.confusion_counts(labels, predictions, 5)
    for row in range(5):
        for column in range(5):
            both = sum(
                label == row and guess == column
                for label, guess in zip(labels, predictions, strict=True)
            )
            assert counts[row, column] == both
    assert metrics.METRICS["accuracy"](counts) == np.mean(labels == predictions)


def test_counts_of_batches_add_up():
    labels, predictions = np.array([0, 1, 1, 2]), np.array([0, 2, 1, 2])
    parts = sum(metrics.confusion_counts(labels[i::2], predictions[i::2], 3) for i in range(2))
    np.testing.assert_array_equal(parts, metrics.confusion_counts(labels, predictions, 3))


def test_hidden_labels_and_no_labels_are_refused():
    with pytest.raises(ValueError, match=r"-1\.\.0"):
        metrics.confusion_counts(np.array([-1, 0]), np.array([0, 0]), 2)
    with pytest.raises(ValueError, match="no examples"):
        metrics.accuracy(np.zeros((2, 2), int))
