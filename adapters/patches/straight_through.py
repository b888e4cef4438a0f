"""Yes or no forward, the identity backward.

Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation", arXiv 1308.3432.
"""

import functools
from typing import Any

import jax


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def above(score: jax.Array, threshold: float) -> jax.Array:
    """1 where `score` exceeds `threshold`, else 0, in the dtype of `score`.

    The gradient with respect to `score` is the result's own, everywhere.

    >>> above(jax.numpy.asarray([0.2, 0.1]), 0.1)
    Array([1., 0.], dtype=float32)
    """
    return (score > threshold).astype(score.dtype)


def _forward(score: jax.Array, threshold: float) -> tuple[jax.Array, None]:
    return above(score, threshold), None


def _backward(threshold: float, saved: None, gradient: Any) -> tuple[Any]:
    del threshold, saved
    return (gradient,)


above.defvjp(_forward, _backward)
