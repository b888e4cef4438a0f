"""One linear layer on the pooled features: the predictor of every head that is no dense one."""

from typing import Any

from adapters.heads.contract import Arrays

FEATURES, LOGITS = "features", "logits"
TAPS = (FEATURES,)


def apply(weights: Arrays, taps: Arrays) -> dict[str, Any]:
    """Predictions `logits` [..., outputs] of `features` [..., F], by `w` [F, outputs] and `b`.

    NumPy gives NumPy, JAX gives JAX.
    """
    product = taps[FEATURES] @ weights["w"]
    bias = weights["b"]
    return {LOGITS: product + bias.reshape((1,) * (product.ndim - 1) + bias.shape)}
