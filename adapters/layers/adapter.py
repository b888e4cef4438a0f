"""Adapters: a small path of a patch's own across a layer or a block, added before the norm.

Two forms, by the leaves that stand beside a convolution's kernel:

  adapter [in, out]  a 1x1 convolution. Rebuffi, Bilen, Vedaldi, "Efficient parametrization of
      multi-domain deep neural networks", arXiv 1803.10082: parallel adapters.
  adapter_down [in, r], adapter_kernel [k, k, 1, r], adapter_up [r, out]  a bottleneck: 1x1,
      depthwise, ReLU, 1x1. After Chen et al., "Conv-Adapter", arXiv 2208.07463; the order of its
      two first convolutions is our reconstruction. Without `adapter_kernel` the bottleneck is
      linear: a parallel adapter of rank r.

A strided path looks where the middle of the layer's or block's kernel does.
"""

from typing import NamedTuple

import haiku as hk
import jax
from jax import lax

from adapters.layers import padding as padding_lib
from adapters.layers.depthwise_convolution import depthwise
from adapters.layers.optional import optional
from adapters.layers.windows import Geometry, taps


class Across(NamedTuple):
    """What an adapter may bridge: from an input [H, W, in] to a convolution's output [H', W', out].

    Attributes:
      x: the input.
      kernel, stride, dilation: of what lies between.
      padding: a convention of `layers.padding`.
    """

    x: jax.Array
    kernel: int
    stride: int
    dilation: int
    padding: str

    def seen(self) -> jax.Array:
        """The pixels [H', W', in] that the middle of the kernel meets."""
        kernel, stride, dilation = self.kernel, self.stride, self.dilation
        pads = padding_lib.explicit(self.padding, self.x.shape[:2], kernel, stride, dilation)
        return taps(self.x, kernel, Geometry(stride, dilation, pads))[kernel**2 // 2]


def adapted(module: hk.Module, y: jax.Array, across: Across) -> jax.Array:
    """y [H', W', out] with what the module's adapters add to it, if it has any."""
    whole, down = optional(module, "adapter"), optional(module, "adapter_down")
    if whole is not None:
        y = y + _product(across.seen(), whole)
    up, kernel = optional(module, "adapter_up"), optional(module, "adapter_kernel")
    if down is None or up is None:
        return y
    if kernel is None:
        return y + _product(_product(across.seen(), down), up)
    inner = _product(across.x, down)
    inner = depthwise(inner, kernel, across.stride, across.padding, across.dilation)
    return y + _product(jax.nn.relu(inner), up)


def _product(x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.dot_general(x, w, (((2,), (0,)), ((), ())))
