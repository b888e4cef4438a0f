"""Mobile multi-query attention: Qin, Leichner, Delakis and others, arXiv 2404.10518, equation 2.

After Shazeer, "Fast Transformer Decoding", arXiv 1911.02150: many heads of queries share one head
of keys and one of values. There is no encoding of places.
"""

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Projection


class MultiQueryAttention(hk.Module):
    """Every pixel asks all pixels, or those of a map `key_stride` times smaller.

    Leaves: `query` w [C, heads * size], `key` and `value` w [C, size], `output`
    w [heads * size, C]; where keys are strided, also `key_depthwise` and `value_depthwise`
    w [3, 3, 1, C], each with its norm, which patches own like any other depthwise layer and norm.
    """

    def __init__(self, heads: int, size: int, key_stride: int, padding: str, *, name: str):
        super().__init__(name=name)
        self._heads, self._size = heads, size
        self._key_stride, self._padding = key_stride, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, C] to the same shape."""
        height, width, channels = x.shape
        queries = Projection(self._heads * self._size, name="query")(x)
        queries = queries.reshape(height * width, self._heads, self._size)
        keys, values = (self._seen(x, norm, name) for name in ("key", "value"))
        scores = jnp.einsum("qhd,kd->hqk", queries, keys) * jnp.asarray(self._size**-0.5, x.dtype)
        shares = jax.nn.softmax(scores.astype(jnp.float32), axis=-1).astype(x.dtype)
        mixed = jnp.einsum("hqk,kd->qhd", shares, values)
        mixed = mixed.reshape(height, width, self._heads * self._size)
        return Projection(channels, name="output")(mixed)

    @hk.transparent
    def _seen(self, x: jax.Array, norm: Normalise, name: str) -> jax.Array:
        """Keys or values, [H' * W', size]."""
        if self._key_stride > 1:
            shrink = Depthwise(3, self._key_stride, self._padding, name=f"{name}_depthwise")
            x = shrink(x, norm)
        return Projection(self._size, name=name)(x).reshape(-1, self._size)
