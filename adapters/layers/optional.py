"""Leaves that a patch may add to a layer and a backbone never has; an absent one computes nothing.

The vocabulary is closed, since layers and devices must understand each. They lie beside the kernel
of a convolution:

  scale [C], offset [C]  what comes out is multiplied by the one and has the other added, before
      the norm.
  side_down [in, r], side_up [r, out]  of a 1x1 convolution: a second path of low rank, whose result
      is added to the kernel's.
  bases [N, *w.shape], mix [N]  of a 1x1 or depthwise layer: w + sum_n mix_n bases_n is the kernel.
  adapter [in, out]; adapter_down [in, r], adapter_kernel [k, k, 1, r], adapter_up [r, out]  of a
      depthwise layer, and of the last layer of a block: see `adapters.layers.adapter`.
"""

import haiku as hk
import jax

IDENTITY = {
    "scale": 1.0,
    "offset": 0.0,
    "side_up": 0.0,
    "adapter": 0.0,
    "adapter_up": 0.0,
    "mix": 0.0,
}
"""The value of each that leaves the layer as it is without them."""

INWARD = frozenset({"side_down", "adapter_down", "adapter_kernel", "bases"})
"""Leaves that have no effect of their own: what they compute leaves through another one."""


def optional(module: hk.Module, name: str) -> jax.Array | None:
    """The leaf called `name` of `module`, or None where no patch has added it."""
    return module.params_dict().get(f"{module.module_name}/{name}")


def modulated(module: hk.Module, y: jax.Array) -> jax.Array:
    """y [H, W, C] with the module's `scale` and `offset`, if it has them."""
    scale, offset = optional(module, "scale"), optional(module, "offset")
    if scale is not None:
        y = y * scale.reshape(1, 1, -1)
    return y if offset is None else y + offset.reshape(1, 1, -1)
