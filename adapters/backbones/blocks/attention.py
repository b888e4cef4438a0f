"""MobileNetV4's attention block: arXiv 2404.10518, section 4.2."""

import haiku as hk
import jax

from adapters.backbones.rows import Attention
from adapters.layers.attention import MultiQueryAttention
from adapters.layers.layer_scale import LayerScale
from adapters.layers.norm import Normalise, normalise
from adapters.layers.residual import residual


class AttentionBlock(hk.Module):
    """Norm, attention, layer scale, residual; leaves in `norm`, `attention` and `layer_scale`."""

    def __init__(self, row: Attention, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to the same shape."""
        row = self._row
        attend = MultiQueryAttention(
            row.heads, row.size, row.key_stride, self._padding, name="attention"
        )
        y = attend(normalise(x, norm), norm)
        y = LayerScale(name="layer_scale")(y)
        return residual(self, x, y, "attention/output")
