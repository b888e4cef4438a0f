"""One matrix product over all pixels: what a 1x1 convolution computes."""

import jax
from jax import lax


def pointwise(x: jax.Array, w: jax.Array) -> jax.Array:
    """Multiplies each pixel of x [H, W, in] by w [in, out]."""
    if x.shape[:2] == (1, 1):
        # LiteRT's converter fails at one image of one pixel, unless it is a vector and stays one.
        return lax.optimization_barrier(x.reshape(-1) @ w)[None, None]
    return lax.dot_general(x, w, (((2,), (0,)), ((), ())))
