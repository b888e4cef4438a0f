"""What a route is worth: its quality, and how its cost stands to what it may cost.

Quality is a number where more is better, an accuracy say; costs and their target are of one unit.
All broadcast, and work on NumPy and JAX arrays alike.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from adapters.errors import ModelPatchError, UnknownNameError

Reward = Callable[[Any, Any], Any]
"""(quality, cost over its target) -> reward."""


class RewardError(ModelPatchError):
    """A weight of cost that rewards it."""


def absolute(weight: float = 0.1) -> Reward:
    """Quality - weight |cost / target - 1|: routes end at the target, whatever the weight.

    Bender et al., "Can Weight Sharing Outperform Random Architecture Search? An Investigation With
    TuNAS", arXiv 2008.06120, equation 2, whose code has a weight of 0.1. Qualities that spread
    widely need a larger one: their gain has to be less than what leaving the target costs.
    """
    _check("absolute", weight)
    return lambda quality, ratio: quality - weight * abs(ratio - 1)


def soft(weight: float = 0.07) -> Reward:
    """Quality (cost / target)^-weight: 5 % of quality are worth a doubled cost.

    Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", arXiv 1807.11626,
    equation 2, with alpha = beta = -0.07: 1.05 * 2^-0.07 is 1.
    """
    _check("soft", weight)
    return lambda quality, ratio: quality * ratio**-weight


def hard(weight: float = 1.0) -> Reward:
    """Quality min((cost / target)^-weight, 1): nothing is won below the target.

    MnasNet's equation 2 with alpha = 0 and beta = -1.
    """
    _check("hard", weight)
    return lambda quality, ratio: quality * np.minimum(ratio**-weight, 1.0)


REWARDS: dict[str, Callable[..., Reward]] = {"absolute": absolute, "soft": soft, "hard": hard}
SUMMARIES: dict[str, Callable[[Any], Any]] = {
    "mean": lambda ratios: ratios.mean(axis=-1),
    "worst": lambda ratios: ratios.max(axis=-1),
}


def over_devices(costs: Any, targets: Any, summary: str = "mean") -> Any:
    """One ratio of cost to target out of several devices': [..., devices] -> [...].

    Chu et al., "Discovering Multi-Hardware Mobile Models via Architecture Search", arXiv
    2008.08178, search by the mean and by the worst case; that each is divided by its own target
    first, so that no device's clock matters, is our definition.

    Args:
      costs: of a route on each device, [..., devices].
      targets: [devices].
      summary: one of `SUMMARIES`.
    """
    if summary not in SUMMARIES:
        raise UnknownNameError("summary of devices", summary, SUMMARIES)
    return SUMMARIES[summary](costs / targets)


def _check(name: str, weight: float) -> None:
    if not weight >= 0:
        raise RewardError(f"{name} has weight={weight}: it must be 0 or more.")
