"""The signatures of an exported backbone: what each takes, and what it is called.

Every signature maps `images` [N, H, W, 3], normalised, and the leaves of a head, `head/LEAF` each,
to the head's predictions by name: of one that reads the pooled features, `head/w`
[features, classes] and `head/b` [classes] to `logits` [N, classes]. What else is an input tells its
kind:

  norms      `PATH/scale` and `PATH/offset` of every norm, folded with its statistics.
  depthwise  the same, and `PATH/w` of every depthwise kernel.
  folded     those of norms that no kernel can take up. All others are part of the kernels, whose
             constants have to be rewritten: as exported, every bias is NaN.

`PATH/gain` of layer scales and `PATH/b` of dense layers are inputs of all three: conversion would
merge them with constants beside them.
"""

from collections.abc import Mapping
from typing import Any

from adapters.modules import follows_kernel, is_norm, kind_of
from adapters.vocabulary import BIAS, GAIN, KERNEL, MODULATION

NORMS, DEPTHWISE, FOLDED = "norms", "depthwise", "folded"
KINDS = (NORMS, DEPTHWISE, FOLDED)
IMAGES, HEAD, LOGITS = "images", "head/", "logits"
HEAD_W, HEAD_B = f"{HEAD}w", f"{HEAD}b"
PROBABILITIES = "probabilities"  # what a graph for MediaPipe gives instead

Weights = Mapping[str, Mapping[str, Any]]


def signature(kind: str, size: int, batch: int, head: int = 0) -> str:
    """The name of a signature.

    `head` is the number of another head than those that read the pooled features, from 1 on.

    >>> signature("norms", 224, 8), signature("norms", 320, 1, 2)
    ('norms_224_8', 'norms_320_1_head2')
    """
    return f"{kind}_{size}_{batch}" + (f"_head{head}" if head else "")


def task_signature(batch: int) -> str:
    """The name of a signature of one task's own graph, which takes `images` alone."""
    return f"run_{batch}"


def inputs(kind: str, weights: Weights) -> set[str]:
    """`MODULE/LEAF` of all that a signature of `kind` must take beside images and head.

    Args:
      weights: {module path: {leaf: anything}} of the backbone.
    """
    return {
        f"{module}/{leaf}"
        for module, leaves in weights.items()
        for leaf in leaves
        if _is_input(kind, module, leaf, weights)
    }


def _is_input(kind: str, module: str, leaf: str, weights: Weights) -> bool:
    if is_norm(weights[module]):
        free = kind != FOLDED or not follows_kernel(module, weights)
        return free and leaf in MODULATION
    if leaf == KERNEL:
        return kind == DEPTHWISE and kind_of(weights[module]) == "depthwise"
    return leaf in (GAIN, BIAS)
