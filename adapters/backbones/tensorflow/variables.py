"""Which of a training run's variables are the network's, and which values are its best."""

import re
from collections.abc import Iterable

from absl import logging

_AVERAGE = "/ExponentialMovingAverage"
# What tf.train's optimisers keep beside a variable: `RMSProp` its squares, `RMSProp_1` momentum.
_SLOT = re.compile(r"/(Adadelta|Adagrad|Adam|Ftrl|Momentum|RMSProp)(_\d+)?$")
_COUNTERS = ("global_step", "beta1_power", "beta2_power")


def variables(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """From each variable of the network to the name under which its values are kept.

    They are below `variables`, as the last step left them, and below `averages` where moving
    averages were kept: of a variable without one, itself. Optimisers' slots and counters of steps
    are left aside, which is logged.
    """
    every = dict.fromkeys(names)
    averages = {name.removesuffix(_AVERAGE): name for name in every if name.endswith(_AVERAGE)}
    aside = {
        name
        for name in every
        if name in _COUNTERS or ((slot := _SLOT.search(name)) and name[: slot.start()] in every)
    }
    if aside:
        logging.info("left aside: %d counters and optimiser's slots.", len(aside))
    network = dict.fromkeys(name.removesuffix(_AVERAGE) for name in every if name not in aside)
    kept = {"variables": {name: name for name in network if name in every}}
    if averages:
        kept["averages"] = {name: averages.get(name, name) for name in network}
    return kept
