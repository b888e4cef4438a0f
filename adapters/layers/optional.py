"""Leaves that a patch may add to a layer and a backbone never has; an absent one computes nothing.

The vocabulary is closed, since layers and devices must understand each: `adapters.vocabulary`. They
lie beside the kernel of a convolution:

  scale [C], offset [C]  what comes out is multiplied by the one and has the other added, before
      the norm.
  side_down [in, r], side_up [r, out]  of a 1x1 convolution: a second path of low rank, whose result
      is added to the kernel's.
  bases [N, *w.shape], mix [N]  of a 1x1 or depthwise layer: w + sum_n mix_n bases_n is the kernel.
  adapter [in, out]; adapter_down [in, r], adapter_kernel [k, k, 1, r], adapter_up [r, out]  of a
      depthwise layer, and of the last layer of a block: see `adapters.layers.adapter`.
  open [1]  of the last convolution of a residual branch: where it is 0, the block is skipped. See
      `adapters.layers.residual`.
  bypass [1]  of a depthwise layer that keeps its map's size: where it is above 0, the layer gives
      what came into it, to the bit: its norm and activation are passed by too.
"""

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.vocabulary import BYPASS, OFFSET, SCALE


def optional(module: hk.Module, name: str) -> jax.Array | None:
    """The leaf called `name` of `module`, or None where no patch has added it.

    `LAYER/name` is the leaf of a layer inside the module that has been called already.
    """
    return module.params_dict().get(f"{module.module_name}/{name}")


def modulated(module: hk.Module, y: jax.Array) -> jax.Array:
    """y [H, W, C] with the module's `scale` and `offset`, if it has them."""
    scale, offset = optional(module, SCALE), optional(module, OFFSET)
    if scale is not None:
        y = y * scale.reshape(1, 1, -1)
    return y if offset is None else y + offset.reshape(1, 1, -1)


def passed_by(module: hk.Module, x: jax.Array, y: jax.Array) -> jax.Array:
    """What the module makes of x, y of the same shape; or x, where its `bypass` is above 0."""
    bypass = optional(module, BYPASS)
    return y if bypass is None else jnp.where(bypass[0] > 0, x, y)
