"""Kernels mixed from bases, w + sum_n mix_n bases_n, where a layer has leaves `bases` and `mix`.

Zhang et al., "BasisNet", arXiv 2105.03014, mixes N kernels W_n by a softmax; since the shares sum
to one, that is this form with bases_n = W_n - w. Where every image has a mix of its own there are
two ways, equal but for rounding: a kernel for each image, or all N + 1 products, mixed. Kernels
take fewer multiply-adds wherever a map has two pixels or more, but each must be written to memory
and read again, and its product is as small as the map; so products win on the smallest maps.
docs/performance.md has the figures that `PIXELS` was chosen by, and why w is one of the kernels
that are mixed, with a share of 1: to add it afterwards takes as long as the mixing. Products are
added afterwards: they are few, and w and the bases would have to be copied into one array.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import haiku as hk
import jax
import jax.numpy as jnp
from jax import lax

from adapters.layers.optional import optional
from adapters.layers.pixels import pointwise
from adapters.vocabulary import BASES, MIX

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
    mixture = _mixture(module)
    if mixture is None:
        return w
    bases, mix = mixture
    shares = jnp.concatenate([jnp.ones(1, mix.dtype), mix])
    return jnp.tensordot(shares, jnp.concatenate([w[None], bases]), 1)


def mixed_pointwise(module: hk.Module, x: jax.Array, w: jax.Array) -> jax.Array:
    """The 1x1 convolution of x [H, W, in] with what the module makes of `w` [in, out]."""
    mixture = _mixture(module)
    height, width, channels = x.shape
    if mixture is None or height * width > _pixels.get():
        return pointwise(x, mixed_kernel(module, w))
    bases, mix = mixture
    # What has fewer channels is mixed; at one pixel always x, for `pointwise` knows that case.
    if channels <= w.shape[1] or height * width == 1:
        mixed = x[:, :, None] * mix[None, None, :, None]
        rest = pointwise(mixed.reshape(height, width, -1), bases.reshape(-1, w.shape[1]))
    else:
        products = lax.dot_general(x, bases, (((2,), (1,)), ((), ())))  # [H, W, N, out]
        rest = jnp.einsum("n,hwno->hwo", mix, products)
    return pointwise(x, w) + rest


def _mixture(module: hk.Module) -> tuple[jax.Array, jax.Array] | None:
    """The module's `bases` [N, *w.shape] and `mix` [N], if it has them."""
    bases, mix = optional(module, BASES), optional(module, MIX)
    return None if bases is None or mix is None else (bases, mix)
