"""One bit a weight: which of the shared kernels' values a task uses.

Mallya, Davis, Lazebnik, "Piggyback", arXiv 1801.06519: w * [score > 0.005], scores from 0.01 on,
trained straight through; and its affine form, Mancini, Ricci, Caputo, Rota Bulo, "Adding New Tasks
to a Single Network with Weight Transformations using Binary Masks", arXiv 1805.11119:
k0 w + k1 + k2 m + k3 w m. On MobileNetV2 1.0: 2,189,760 bits, 3.08 % of the extractor's weights.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.naming import named
from adapters.patches.replacement import leaves_where, with_leaves
from adapters.patches.settings import check_setting
from adapters.patches.sizes import size_of
from adapters.patches.straight_through import above

START, THRESHOLD = 0.01, 0.005


@named
def mask(affine: bool = False, score_rate: float = 0.01) -> Patch:
    """Each task owns a bit for every value of every kernel `w`; all are 1 at the start.

    Args:
      affine: four numbers a kernel too, in Mancini's form. It starts as (0, 0, 0, 1), which is the
        mask alone.
      score_rate: factor of the learning rate for the scores: Piggyback's 1e-4 beside a patch rate
        of 1e-2. At 1e-2 itself all bits flip in the first step.

    Raises PatchSettingError.
    """
    check_setting("score_rate", score_rate, 0 < score_rate < math.inf, "above 0")

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        del key
        kernels = leaves_where(lambda path, name, leaf: name == "w", weights)
        trained = {
            path: {"score": jnp.full_like(leaves["w"], START)} for path, leaves in kernels.items()
        }
        if affine:
            for path, leaves in trained.items():
                start = jnp.asarray([0.0, 0.0, 0.0, 1.0], kernels[path]["w"].dtype)
                leaves["coefficients"] = start
        return PatchParams(trained)

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        del context
        masked = {
            path: {"w": _masked(weights[path]["w"], leaves)}
            for path, leaves in params.trained.items()
        }
        return with_leaves(weights, masked)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        place = "affine_mask/{}/w.mask" if affine else "mask/{}/w"
        bits = {
            place.format(path): 8 * math.ceil(leaves["score"].size / 8)
            for path, leaves in params.trained.items()
        }
        if affine:
            for path, leaves in params.trained.items():
                bits[f"affine_mask/{path}/w.coefficients"] = 32 * leaves["coefficients"].size
        return bits

    def pack(params: PatchParams) -> LeafEdits:
        packed = {
            path: jnp.packbits(leaves["score"] > THRESHOLD)
            for path, leaves in params.trained.items()
        }
        if not packed:
            return {}
        if not affine:
            return {"mask": {path: {"w": packed_bits} for path, packed_bits in packed.items()}}
        return {
            "affine_mask": {
                path: {
                    "w.mask": packed_bits,
                    "w.coefficients": params.trained[path]["coefficients"],
                }
                for path, packed_bits in packed.items()
            }
        }

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        del context
        found: dict[str, dict[str, Any]] = {path: {"score": score_rate} for path in params.trained}
        if affine:
            for path, own in found.items():
                one, size = jnp.ones(()), size_of(weights[path], "w")
                own["coefficients"] = jnp.stack([one, size, size, one])
        return found

    return Patch(init=init, apply=apply, cost=cost, pack=pack, rates=rates)


def _masked(w: jax.Array, leaves: Mapping[str, jax.Array]) -> jax.Array:
    chosen = above(leaves["score"], THRESHOLD)
    if "coefficients" not in leaves:
        return w * chosen
    k = leaves["coefficients"]
    return k[0] * w + k[1] + k[2] * chosen + k[3] * (w * chosen)
