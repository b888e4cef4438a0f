"""A 1x1 convolution beside each block or depthwise layer.

Rebuffi, Bilen, Vedaldi, "Efficient parametrization of multi-domain deep neural networks", CVPR
2018, arXiv 1803.10082: y = norm(f(x) + A x), A [in, out] of each task. They bridge the k x k
convolutions of a ResNet; a MobileNet's are depthwise, with far more channels, or hidden in blocks.
A 1x1 convolution is not bridged: the adapter would be its copy. On MobileNetV2 1.0: 160,960 values
across blocks, 7.2 % of the extractor, and 4,512,256 across depthwise layers, twice the extractor;
28,544 across these with rank 2.
"""

from typing import Any

import jax
import jax.numpy as jnp

from adapters.patches.contract import Patch, Weights
from adapters.patches.insertion import insertion
from adapters.patches.naming import named
from adapters.patches.places import SPANS, Span, outward_size, places
from adapters.patches.settings import check_setting


@named
def parallel_adapter(across: Span = "block", rank: int | None = None) -> Patch:
    """Each task adds a linear path of its own, which starts at zero.

    Args:
      across: what it bridges: `block` or `depthwise`.
      rank: the path goes through this many channels; by default it is one full matrix.

    Raises PatchSettingError.
    """
    check_setting("across", across, across in SPANS, f"one of {', '.join(SPANS)}")
    check_setting("rank", rank, rank is None or rank >= 1, "1 or more")

    def leaves(key: jax.Array, weights: Weights) -> Weights:
        made = {}
        for index, place in enumerate(places(weights, across)):
            if rank is None:
                made[place.path] = {"adapter": jnp.zeros((place.inputs, place.outputs))}
                continue
            draw = jax.random.normal(jax.random.fold_in(key, index), (place.inputs, rank))
            made[place.path] = {
                "adapter_down": draw * place.inputs**-0.5,
                "adapter_up": jnp.zeros((rank, place.outputs)),
            }
        return made

    def sizes(weights: Weights) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for place in places(weights, across):
            if rank is None:
                found[place.path] = {"adapter": outward_size(weights, place, place.inputs)}
                continue
            found[place.path] = {
                "adapter_down": place.inputs**-0.5,
                "adapter_up": outward_size(weights, place, rank),
            }
        return found

    return insertion(leaves, sizes)
