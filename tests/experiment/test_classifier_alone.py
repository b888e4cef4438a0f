"""Runs whose patches do harm say so."""

import re

import numpy as np

import adapters
from adapters.experiment import classifier_alone
from adapters.experiment.classifier_alone import IMAGES, RIDGE, ridge
from tests.experiment.test_fit import FEW

SAID = "behind what a classifier of the frozen features alone reaches"


def test_ridge_regression_solves_its_normal_equations():
    """In their primal form: (X'X + r I) w = X'Y of centred X and Y."""
    generator = np.random.default_rng(0)
    features, targets = generator.normal(3, 2, (20, 8)), generator.normal(1, 1, (20, 3))
    x, y = features - features.mean(axis=0), targets - targets.mean(axis=0)
    added = RIDGE * np.square(x).sum() / len(x) * np.eye(8)
    head = ridge(features, targets)
    np.testing.assert_allclose((x.T @ x + added) @ head["w"], x.T @ y, rtol=1e-6)
    predicted = features @ head["w"] + head["b"]
    np.testing.assert_allclose(predicted.mean(axis=0), targets.mean(axis=0), rtol=1e-9)


def test_a_run_says_when_its_patches_do_harm(pictures, caplog, monkeypatch):
    """After the warm-up, and while they do."""
    monkeypatch.setattr(classifier_alone, "IMAGES", IMAGES)  # as shipped; other tests' see few
    adapters.fit(pictures, **FEW | {"patch_rate": 3.0, "warmup": 0.5})
    said = [record.getMessage() for record in caplog.records]
    warned = [message for message in said if SAID in message]
    assert [message.split(":")[0] for message in warned] == ["step 8", "step 10", "step 12"]
    assert all(re.search(r"arrays \d+\.\d against 100\.0\.", message) for message in warned)
