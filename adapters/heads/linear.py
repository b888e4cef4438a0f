"""One linear layer on the pooled features: the predictor of every head that is no dense one."""

from collections.abc import Mapping
from typing import Any

from adapters.heads.contract import Arrays, Shape

FEATURES, LOGITS = "features", "logits"
TAPS = (FEATURES,)
COMPUTES = "linear"


def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
    """`w` [F, outputs] and `b` [outputs]."""
    return {"w": (channels[FEATURES], outputs), "b": (outputs,)}


def channels(shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Of `features`, what a head with leaves of these shapes reads."""
    return {FEATURES: shapes["w"][0]}


def apply(weights: Arrays, taps: Arrays) -> dict[str, Any]:
    """Predictions `logits` [..., outputs] of `features` [..., F], by `w` [F, outputs] and `b`.

    NumPy gives NumPy, JAX gives JAX.
    """
    product = taps[FEATURES] @ weights["w"]
    bias = weights["b"]
    return {LOGITS: product + bias.reshape((1,) * (product.ndim - 1) + bias.shape)}
