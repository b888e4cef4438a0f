"""Folding: norms multiplied into the convolutions before them, for no cost at run time."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.modules import layer_of
from adapters.vocabulary import KERNEL, MODULATION, OPTIONAL

Array = npt.NDArray[np.float32]


class CannotFoldError(ModelPatchError):
    """A layer computes more than a convolution and a norm."""


def fold_norms(
    weights: Mapping[str, Mapping[str, Array]], epsilon: float
) -> dict[str, dict[str, Array]]:
    """The same function with every norm reduced to its offset.

    For a convolution whose output channels are its kernel's last axis, and the norm under it,
    w * g and an offset of b compute norm(x @ w), with g = scale / sqrt(var + epsilon) and
    b = offset - mean * g; a path beside the kernel is multiplied alike. What is left of the norm is
    the identity: scale 1, mean 0, and var 1 - epsilon. A norm under no convolution (attention's)
    stays as it is. Works in float64, so that only the result is rounded.

    Args:
      weights: {module path: {leaf: array}}; a norm stands under its convolution.
      epsilon: of the norms.

    Raises:
      CannotFoldError: a layer has leaves of which none of this is known.
    """
    folded = {path: dict(leaves) for path, leaves in weights.items()}
    for path, leaves in weights.items():
        convolution = layer_of(path)
        if convolution == path or convolution not in weights:
            continue
        unknown = sorted(weights[convolution].keys() - {KERNEL, *OPTIONAL})
        if unknown:
            raise CannotFoldError(
                f"{convolution} has the leaves {unknown}, which cannot be folded. Run this patch "
                "unfolded."
            )
        norm = {name: np.asarray(leaf, np.float64) for name, leaf in leaves.items()}
        gain = norm["scale"] / np.sqrt(norm["var"] + epsilon)
        own = {name: np.asarray(leaf, np.float64) for name, leaf in weights[convolution].items()}
        factor = own.get("scale", 1.0) * gain
        folded[convolution] = {
            name: (own[name] * factor).astype(np.float32) if _is_outward(name) else leaf
            for name, leaf in weights[convolution].items()
            if name not in MODULATION
        }
        centre = norm["mean"] - own.get("offset", 0.0)
        one = np.ones_like(leaves["scale"])
        folded[path] = {
            "scale": one,
            "offset": (norm["offset"] - centre * gain).astype(np.float32),
            "mean": np.zeros_like(one),
            "var": (one - np.float32(epsilon)).astype(np.float32),
        }
    return folded


def _is_outward(name: str) -> bool:
    """Whether a convolution's leaf has its output channels as last axis; others are passed by."""
    return name == KERNEL or OPTIONAL[name].outward
