"""A bottleneck of depthwise-separable convolutions beside each block or depthwise layer.

Chen, Tao, Fan, Wang, Savvides, Wang, Xie, Raj, "Conv-Adapter", arXiv 2208.07463: f(x) + a(x), where
a is a 1x1 convolution to fewer channels, a depthwise one, ReLU and a 1x1 convolution back. The
paper's scale by channel is part of the last one here; that this one starts at zero, and where norms
stand, is our reconstruction. On MobileNetV2 1.0: 74,560 values, 3.4 % of the extractor.
"""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.patches.contract import Patch, Weights
from adapters.patches.insertion import insertion
from adapters.patches.naming import named
from adapters.patches.places import SPANS, Place, Span, outward_size, places
from adapters.patches.settings import check_setting


@named
def conv_adapter(across: Span = "block", reduction: int = 4, kernel: int = 3) -> Patch:
    """Each task adds a path of its own with a kernel and a non-linearity in it.

    Args:
      across: what it bridges: `block` or `depthwise`.
      reduction: the path has this many times fewer channels than comes in; one at least.
      kernel: side of its depthwise kernels, odd, 3 or more.

    Raises PatchSettingError.
    """
    check_setting("across", across, across in SPANS, f"one of {', '.join(SPANS)}")
    check_setting("reduction", reduction, reduction >= 1, "1 or more")
    check_setting("kernel", kernel, kernel >= 3 and kernel % 2 == 1, "an odd number from 3 on")

    def channels(place: Place) -> int:
        return max(place.inputs // reduction, 1)

    def leaves(key: jax.Array, weights: Weights) -> Weights:
        made = {}
        for index, place in enumerate(places(weights, across)):
            inner = channels(place)
            down_key, kernel_key = jax.random.split(jax.random.fold_in(key, index))
            down = jax.random.normal(down_key, (place.inputs, inner)) * place.inputs**-0.5
            taps = jax.random.normal(kernel_key, (kernel, kernel, 1, inner)) / kernel
            made[place.path] = {
                "adapter_down": down,
                "adapter_kernel": taps,
                "adapter_up": jnp.zeros((inner, place.outputs)),
            }
        return made

    def sizes(weights: Weights) -> dict[str, dict[str, Any]]:
        return {
            place.path: {
                "adapter_down": place.inputs**-0.5,
                "adapter_kernel": 1 / kernel,
                "adapter_up": outward_size(weights, place, channels(place)),
            }
            for place in places(weights, across)
        }

    return insertion(leaves, sizes)
