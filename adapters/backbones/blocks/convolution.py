"""A plain convolution as a block."""

import jax

from adapters.backbones.rows import Convolution
from adapters.layers.convolution import Convolution as ConvolutionLayer
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise


def convolution(
    row: Convolution, padding: str, name: str, x: jax.Array, norm: Normalise
) -> jax.Array:
    """Maps [H, W, inputs] to [H', W', outputs]."""
    if row.kernel == 1 and row.stride == 1:
        return Pointwise(row.outputs, name=name)(x, norm, row.activation)
    # Keras pads MobileNetV1's stem otherwise than its depthwise layers.
    own = "same" if padding == "trailing" else padding
    layer = ConvolutionLayer(row.outputs, row.kernel, row.stride, own, row.dilation, name=name)
    return layer(x, norm, row.activation)
