"""A batch taken in parts, where what lies between input and output would not fit a cache.

Layers are written for one image, and mapping makes batches of them. Most are fastest when all
images are computed at once; one whose intermediate is many times its input, as the windows of a
convolution are, is not, once that of the whole batch has to go to memory and back.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.custom_batching import custom_vmap

CACHE = 12 * 2**20  # bytes: what two cores keep near; of 4, 8, 12 and 16 MiB the fastest on x86


def in_parts(function: Callable[..., jax.Array], size: int) -> Callable[..., jax.Array]:
    """`function` of arrays, which `jax.vmap` maps over as many examples at once as `CACHE` holds.

    Equal to mapping `function` itself. It cannot be differentiated: call it from rules of
    `jax.custom_vjp`. Where a batch is shared by several devices, only its innermost axis is parted:
    the outer one may be what they share.

    Args:
      function: of one example.
      size: bytes that it needs between input and output.

    >>> double = in_parts(lambda x: 2 * x, size=CACHE)
    >>> jax.vmap(double)(jax.numpy.arange(3))
    Array([0, 2, 4], dtype=int32)
    """
    return _in_parts(function, size, innermost=True)


def _in_parts(
    function: Callable[..., jax.Array], size: int, innermost: bool
) -> Callable[..., jax.Array]:
    mapped = custom_vmap(function)

    @mapped.def_vmap
    def _(count: int, batched: list[bool], *arguments: Any) -> tuple[jax.Array, bool]:
        shared_out = not innermost and jax.device_count() > 1
        if count == 1 or count * size <= CACHE or shared_out:
            together = jax.vmap(function, tuple(0 if along else None for along in batched))
            return _in_parts(together, count * size, innermost=False)(*arguments), True

        def one(own: list[jax.Array]) -> jax.Array:
            left = iter(own)
            merged = (
                next(left) if along else argument
                for argument, along in zip(arguments, batched, strict=True)
            )
            return _in_parts(function, size, innermost=False)(*merged)

        mapped_over = [each for each, along in zip(arguments, batched, strict=True) if along]
        return lax.map(one, mapped_over, batch_size=_part(count, max(CACHE // size, 1))), True

    return mapped


def _part(count: int, most: int) -> int:
    """How many of `count` to take at once, up to `most`: a remainder costs copies of everything.

    >>> _part(8, 3), _part(7, 3)
    (2, 3)
    """
    even = max(part for part in range(1, most + 1) if count % part == 0)
    return most if 2 * even <= most else even
