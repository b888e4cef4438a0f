"""Folding: norms multiplied into the convolutions before them, for no cost at run time."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError

Array = npt.NDArray[np.float32]


# Leaves of a convolution that a factor of its outputs is multiplied into, and leaves it passes by.
_OUTWARD = frozenset({"w", "side_up", "adapter", "adapter_up", "bases"})
_INWARD = frozenset({"side_down", "adapter_down", "adapter_kernel", "mix"})


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
        if not path.endswith("/norm") or path.removesuffix("/norm") not in weights:
            continue
        convolution = path.removesuffix("/norm")
        unknown = sorted(weights[convolution].keys() - {*_OUTWARD, *_INWARD, "scale", "offset"})
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
            name: (own[name] * factor).astype(np.float32) if name in _OUTWARD else leaf
            for name, leaf in weights[convolution].items()
            if name not in ("scale", "offset")
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
