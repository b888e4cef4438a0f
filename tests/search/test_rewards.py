"""What a route is worth, by the properties that the papers derive their constants from."""

import numpy as np
import pytest

from adapters.errors import UnknownNameError
from adapters.search import rewards

RATIOS = np.array([0.25, 0.5, 1.0, 2.0, 4.0])


def test_the_absolute_reward_is_best_at_the_target_and_falls_alike_on_both_sides():
    found = rewards.absolute(0.1)(0.8, RATIOS)
    np.testing.assert_allclose(found, 0.8 - 0.1 * np.array([0.75, 0.5, 0, 1, 3]))
    assert found.argmax() == 2


def test_five_percent_of_quality_are_worth_a_doubled_cost():
    soft = rewards.soft()
    assert soft(0.7 * 1.05, 2.0) == pytest.approx(soft(0.7, 1.0), rel=1e-3)


def test_the_hard_reward_pays_nothing_below_the_target():
    np.testing.assert_allclose(rewards.hard()(0.8, RATIOS), 0.8 / np.maximum(RATIOS, 1))


def test_devices_are_summed_up_without_their_clocks():
    costs, targets = np.array([[2.0, 30.0], [4.0, 5.0]]), np.array([2.0, 10.0])
    np.testing.assert_allclose(rewards.over_devices(costs, targets), [2.0, 1.25])
    np.testing.assert_allclose(rewards.over_devices(costs, targets, "worst"), [3.0, 2.0])
    clocks = np.array([1000.0, 0.1])
    for summary in rewards.SUMMARIES:
        slower = rewards.over_devices(costs * clocks, targets * clocks, summary)
        np.testing.assert_allclose(slower, rewards.over_devices(costs, targets, summary))
    with pytest.raises(UnknownNameError, match="Did you mean 'worst'"):
        rewards.over_devices(costs, targets, "worse")


def test_a_reward_for_cost_is_refused():
    with pytest.raises(rewards.RewardError, match="0 or more"):
        rewards.absolute(-0.1)
