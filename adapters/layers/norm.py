"""Batch normalisation with named modes, for one image of one task.

Ioffe and Szegedy, arXiv 1502.03167: y = scale * (x - mean) / sqrt(var + epsilon) + offset.
Modes, while training (inference is always `frozen`: the statistics among the weights):

  frozen  the statistics among the weights, as they are.
  calibrated  the same here; the trainer measured them on the task's images before its first step.
  batch   the moments of all pixels of this task's images in the batch; gradients flow through them.
  ema     the statistics among the weights, which the trainer moves towards those moments; no
          gradient flows through them.

A network made ready for a device has its norms `folded`: the statistics are part of `scale` and
`offset`, so that y = scale * x + offset, and no `mean` or `var` is read.

In `batch` and `ema` each norm leaves the moments, biased as TensorFlow's, as Haiku state
`{path: {"mean", "var"}}`, one row a task: tasks of one batch never mix.
"""

import dataclasses
import typing

import haiku as hk
import jax
import jax.numpy as jnp
from jax import lax

from adapters.errors import UnknownNameError
from adapters.layers.affine import affine
from adapters.modules import NORM_NAME
from adapters.vocabulary import (
    MEAN,
    MEASURING,
    NORM_MODES,
    OFFSET,
    SCALE,
    VARIANCE,
    Folded,
    NormMode,
)


@dataclasses.dataclass(frozen=True)
class Normalise:
    """How every norm of one forward pass behaves.

    Attributes:
      epsilon: added to the variance; a property of the checkpoint.
      mode: see the module's docstring.
      membership: [T], 1 at the task this image belongs to and 0 elsewhere; all 0 for an image that
        must not count. Only in `batch` and `ema`.
      axis_names: the mapped axes over which a batch's moments are taken.
    """

    epsilon: float
    mode: NormMode | Folded = "frozen"
    membership: jax.Array | None = None
    axis_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = (*NORM_MODES, *typing.get_args(Folded))
        if self.mode not in known:
            raise UnknownNameError("norm mode", self.mode, known)


def normalise(x: jax.Array, how: Normalise, activation: str = "linear") -> jax.Array:
    """Normalises and activates [H, W, C], as a layer called `norm` inside the calling layer."""
    return Norm(name=NORM_NAME)(x, how, activation)


class Norm(hk.Module):
    """Leaves `scale`, `offset`, `mean`, `var`, each [C].

    They, and moments, may have more precision than what is normalised: only the factor and the
    offset that they come down to are rounded.
    """

    def __call__(self, x: jax.Array, how: Normalise, activation: str = "linear") -> jax.Array:
        """Maps [H, W, C] to the same shape."""
        shape = x.shape[-1:]
        scale = hk.get_parameter(SCALE, shape, x.dtype, jnp.ones)
        offset = hk.get_parameter(OFFSET, shape, x.dtype, jnp.zeros)
        if how.mode == "folded":
            y = affine(x, scale.astype(x.dtype), offset.astype(x.dtype), activation)
            # Converters would move an offset over the next matrix product into that one's, and
            # patches could not be written into either. The barrier itself converts to nothing.
            return lax.optimization_barrier(y) if activation == "linear" else y
        mean = hk.get_parameter(MEAN, shape, x.dtype, jnp.zeros)
        var = hk.get_parameter(VARIANCE, shape, x.dtype, jnp.ones)
        if how.mode in MEASURING:
            moments = task_moments(x.astype(jnp.float32), how)
            hk.set_state(MEAN, moments[0])
            hk.set_state(VARIANCE, moments[1])
            if how.mode == "batch":
                mean, var = (_own_row(rows, how) for rows in moments)
            else:
                mean, var = lax.stop_gradient(mean), lax.stop_gradient(var)
        gain = scale * lax.rsqrt(var + jnp.asarray(how.epsilon, var.dtype))
        bias = offset - mean * gain
        return affine(x, gain.astype(x.dtype), bias.astype(x.dtype), activation)


def task_moments(x: jax.Array, how: Normalise) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance per task, each [T, C], over the batch's mapped axes.

    A task absent from the batch has zeros; two passes, so that a large mean costs no precision.
    """
    membership = how.membership
    assert membership is not None, f"mode {how.mode} needs the task of each image"
    pixels = jnp.asarray(x.shape[0] * x.shape[1], x.dtype)
    count = lax.psum(membership, how.axis_names) * pixels
    count = jnp.maximum(count, jnp.ones_like(count))[:, None]

    def average(values: jax.Array) -> jax.Array:
        total = jnp.sum(values, axis=(0, 1))
        return lax.psum(membership[:, None] * total[None], how.axis_names) / count

    mean = average(x)
    centred = x - _own_row(mean, how)[None, None]
    return mean, average(centred * centred)


def _own_row(rows: jax.Array, how: Normalise) -> jax.Array:
    assert how.membership is not None
    # Not a matrix product: that would round on accelerators, and spread one task's NaN to all.
    own = jnp.where(how.membership[:, None] > 0, rows, jnp.zeros((), rows.dtype))
    return jnp.sum(own, axis=0)
