"""Numbers in their own unit, against sums written out."""

import numpy as np
import pytest

from adapters.heads.contract import TargetError
from adapters.heads.regression import regression

VALUES = np.array([[10.0, 1.0], [20.0, 3.0], [60.0, 2.0]], np.float32)


def fitted():
    return regression("years").after_training_targets({"values": VALUES})


def test_it_learns_standardised_values_and_answers_in_the_unit():
    head = fitted()
    standard = head.standardised({"values": VALUES})["values"]
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-6)
    answer = head.decode(("age", "height"), {"logits": standard[2]})
    assert answer.values == pytest.approx({"age": 60.0, "height": 2.0})
    assert answer.label == "age 60 years, height 2 years"
    assert answer.unit == "years"


def test_r_squared_and_mean_absolute_error():
    head = fitted()
    guesses = np.array([[12.0, 1.0], [20.0, 2.0], [50.0, 2.0]])
    logits = head.standardised({"values": guesses})["values"]
    figures = head.metric.result(head.metric.update([], {"logits": logits}, {"values": VALUES}))
    first = 1 - (4 + 0 + 100) / (20.0**2 + 10.0**2 + 30.0**2)
    second = 1 - (0 + 1 + 0) / (1 + 1 + 0)
    assert figures["R^2"].value == pytest.approx((first + second) / 2, rel=1e-5)
    assert figures["mean absolute error"].value == pytest.approx((2 + 10 + 1) / 6, rel=1e-5)
    assert figures["mean absolute error"].unit == "years"


@pytest.mark.parametrize("values", [[[1.0], [1.0]], [[1.0], [np.inf]]])
def test_values_that_cannot_be_learned_are_refused(values):
    with pytest.raises(TargetError):
        regression().after_training_targets({"values": np.array(values)})
