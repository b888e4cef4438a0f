"""The one forward pass: patched weights and one example's inputs become maps for a head.

Training, evaluation, export and serving call this very function. They differ in where patched
weights come from, a patch's `apply` in training and a file's edits elsewhere, and in what they map
over.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.backbones.taps import FEATURES, tap
from adapters.modules import kind_of
from adapters.patches.contract import (
    AuxiliaryPrediction,
    Context,
    Inputs,
    Prepare,
    Weights,
)
from adapters.patches.replacement import with_leaves
from adapters.vocabulary import Precision


class Forward(NamedTuple):
    """What one example gives.

    Attributes:
      taps: the maps that were asked for, by name.
      auxiliary: what the patch predicts beside the network, by name.
      moments: {norm path: {"mean", "var"}}; empty in `frozen` mode.
    """

    taps: dict[str, jax.Array]
    auxiliary: Mapping[str, AuxiliaryPrediction]
    moments: Weights


def forward(
    backbone: Backbone,
    prepare: Prepare,
    weights: Weights,
    inputs: Inputs,
    context: Context,
    taps: Sequence[str] = (FEATURES,),
    rematerialise: bool = False,
    precision: Precision = "float32",
) -> Forward:
    """Runs the network on one example.

    Args:
      backbone: the network.
      prepare: the patch's.
      weights: patched.
      inputs: of the example; see `contract.Inputs`.
      context: what `prepare` gets beside `backbone`: `norm`, how norms work, as `Backbone.apply`
        takes it after the image (default: frozen); in training `key` and `progress`.
      taps: names of maps, see `adapters.backbones.taps`.
      rematerialise: whether blocks are computed again in the backward pass.
      precision: of the network's kernels and activations. Norms keep their leaves and moments in
        float32, and so do what a first look computes, the pooled features and all that follows.
    """
    norm = context.get("norm", ("frozen",))
    seen = prepare(weights, inputs, {**context, "backbone": backbone})
    patched = _reduced(with_leaves(weights, seen.leaves), precision)
    image = inputs["image"].astype(precision)
    outputs = backbone.apply(patched, image, *norm, rematerialise=rematerialise)
    read = {name: tap(backbone.table, outputs, name).astype(jnp.float32) for name in taps}
    for name, (gain, shift) in seen.maps.items():
        if name in read:
            channels = (1,) * (read[name].ndim - 1) + (-1,)
            read[name] = read[name] * gain.reshape(channels) + shift.reshape(channels)
    return Forward(
        read,
        seen.auxiliary,
        {**seen.moments, **outputs.moments},
    )


def _reduced(weights: Weights, precision: Precision) -> Weights:
    """Every leaf but those of norms as `precision`; gradients come back in the leaf's own."""
    return {
        path: leaves
        if kind_of(leaves) == "norm"
        else {name: leaf.astype(precision) for name, leaf in leaves.items()}
        for path, leaves in weights.items()
    }
