"""Low-rank changes of 1x1 convolutions.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen, "LoRA", arXiv 2106.09685: w + (alpha / r) A B
with A [in, r] drawn at random and B [r, out] zero. On MobileNetV2 1.0 with r = 2: 37,056 values,
1.67 % of the extractor. Depthwise kernels have no rank to speak of: chain with `depthwise()`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.modules import kind_of, norm_of
from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.merge import UnmergeableEditsError
from adapters.patches.naming import named
from adapters.patches.replacement import stored_bits, with_leaves
from adapters.patches.settings import check_setting
from adapters.patches.sizes import size_of
from adapters.vocabulary import KERNEL


@named
def lora(rank: int = 2, alpha: float | None = None) -> Patch:
    """Each task adds a path of rank `rank` beside every 1x1 convolution with a norm.

    The path is computed beside the kernel, so that examples of many tasks share the kernel's
    product; in a file it is one edit of the kernel.

    Args:
      rank: inner width of a path, 1 or more.
      alpha: the path is scaled by alpha / rank; `rank` by default, for a scale of 1.

    Raises PatchSettingError; `init` raises UnmergeableEditsError after another lora in a chain.
    """
    check_setting("rank", rank, rank >= 1, "1 or more")
    scale = 1.0 if alpha is None else alpha / rank
    check_setting("alpha", alpha, scale > 0, "above 0")

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        trained = {}
        for index, (path, leaves) in enumerate(sorted(weights.items())):
            if kind_of(leaves) != "pointwise" or norm_of(path) not in weights:
                continue
            if "side_down" in leaves:
                raise UnmergeableEditsError(
                    f"{path} has a path of low rank already, by an earlier patch: chain one lora, "
                    "of the sum of the ranks."
                )
            kernel = leaves[KERNEL]
            inputs, outputs = kernel.shape
            draw = jax.random.normal(jax.random.fold_in(key, index), (inputs, rank), kernel.dtype)
            up = jnp.zeros((rank, outputs), kernel.dtype)
            trained[path] = {"side_down": draw * inputs**-0.5, "side_up": up}
        return PatchParams(trained)

    def scaled(params: PatchParams) -> dict[str, dict[str, jax.Array]]:
        return {
            path: {"side_down": leaves["side_down"], "side_up": leaves["side_up"] * scale}
            for path, leaves in params.trained.items()
        }

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        return with_leaves(weights, scaled(params))

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return stored_bits("low_rank", _edits(params.trained))

    def pack(params: PatchParams) -> LeafEdits:
        edits = _edits(scaled(params))
        return {"low_rank": edits} if edits else {}

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        del context
        found = {}
        for path, leaves in params.trained.items():
            # The inward half is as large as it was drawn, the product as the kernel.
            down = leaves["side_down"].shape[0] ** -0.5
            up = size_of(weights[path], KERNEL) / (down * scale)
            found[path] = {"side_down": down, "side_up": up}
        return found

    return Patch(init=init, apply=apply, cost=cost, pack=pack, rates=rates)


def _edits(paths: Weights) -> dict[str, dict[str, jax.Array]]:
    """The leaves of side paths under the names of a file's edits."""
    return {
        path: {"w.down": leaves["side_down"], "w.up": leaves["side_up"]}
        for path, leaves in paths.items()
    }
