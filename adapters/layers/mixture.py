"""Kernels mixed from bases, w + sum_n mix_n bases_n, where a layer has leaves `bases` and `mix`.

Zhang et al., "BasisNet", arXiv 2105.03014, mixes N kernels W_n by a softmax; since the shares sum
to one, that is this form with bases_n = W_n - w. Where every image has a mix of its own there are
two ways, equal but for rounding: a kernel for each image, or all N + 1 products, mixed. Kernels
take fewer multiply-adds wherever a map has two pixels or more, but each must be written to memory
and read again, and its product is as small as the map; so products win on the smallest maps
(docs/performance.md has the figures that `PIXELS` was chosen by).
"""

import contextlib
import contextvars
from collections.abc import Iterator

import haiku as hk
import jax
import jax.numpy as jnp
from jax import lax

from adapters.layers.optional import optional

PIXELS = 4  # of maps up to which products are mixed

_pixels = contextvars.ContextVar("pixels", default=PIXELS)


@contextlib.contextmanager
def products_up_to(pixels: int) -> Iterator[None]:
    """What is traced inside mixes products on maps of up to `pixels`, instead of `PIXELS`.

    At 1 a network takes the fewest multiply-adds, which is what to count for a single image. JAX
    knows nothing of this: a function that it has traced already is not traced again.
    """
    token = _pixels.set(pixels)
    try:
        yield
    finally:
        _pixels.reset(token)


def mixed_kernel(module: hk.Module, w: jax.Array) -> jax.Array:
    """What the module's `bases` [N, *w.shape] and `mix` [N] make of `w`, if it has them."""
    bases, mix = optional(module, "bases"), optional(module, "mix")
    if bases is None or mix is None:
        return w
    return w + jnp.tensordot(mix, bases, 1)


def mixed_pointwise(module: hk.Module, x: jax.Array, w: jax.Array) -> jax.Array:
    """The 1x1 convolution of x [H, W, in] with what the module makes of `w` [in, out]."""
    bases, mix = optional(module, "bases"), optional(module, "mix")
    if bases is None or mix is None or x.shape[0] * x.shape[1] > _pixels.get():
        return _product(x, mixed_kernel(module, w))
    products = lax.dot_general(x, bases, (((2,), (1,)), ((), ())))  # [H, W, N, out]
    return _product(x, w) + jnp.einsum("n,hwno->hwo", mix, products)


def _product(x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.dot_general(x, w, (((2,), (0,)), ((), ())))
