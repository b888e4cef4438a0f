"""Patches whose size is learned: a gate a layer, and a price for what an open one stores.

After Ye, Kovashka, Sandler, Zhu, Howard, Fornoni, "SpotPatch", ACCV 2020, arXiv 2101.01260, whose
text we could not read: the mechanism here is our reconstruction. A score a per layer l starts above
the gates' threshold, see `adapters.patches.gates`, and the loss gains

    weight * sum_l g_l s_l / sum_l s_l

with s_l the bits that a file spends on layer l. Where every task has one weight, a task keeps more
gates the more each is worth to it.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.gates import GROUPS, START, THRESHOLD, Group, gates
from adapters.patches.naming import named
from adapters.patches.settings import PatchSettingError, check_setting
from adapters.patches.straight_through import above

Price = Literal["bits", "count"]


@named
def spotpatch(
    inner: Patch,
    weight: float = 1.0,
    budget_bits: int | None = None,
    per: Group = "layer",
    price: Price = "bits",
    warmup: float = 0.1,
    freeze: float = 2 / 3,
    score_rate: float = 1.0,
) -> Patch:
    """Gates `inner` layer by layer, and prices what its open layers store.

    Args:
      inner: what an open gate lets through.
      weight: of the size term in the loss, in nats for a patch with all gates open.
      budget_bits: the size term only counts what exceeds this many stored bits; by default every
        bit has its price.
      per: what one gate is for: a convolution with its norm, or a whole block.
      price: whether the size term counts stored bits or open gates.
      warmup: share of the run before the size term counts.
      freeze: share of the run after which gates stay as they are.
      score_rate: factor of the learning rate for the scores.

    Raises PatchSettingError.
    """
    check_setting("weight", weight, 0 <= weight < math.inf, "0 or more")
    check_setting("budget_bits", budget_bits, budget_bits is None or budget_bits >= 0, "0 or more")
    check_setting("per", per, per in GROUPS, f"one of {', '.join(GROUPS)}")
    check_setting("price", price, price in ("bits", "count"), "bits or count")
    check_setting("warmup", warmup, 0 <= warmup < 1, "from 0 to below 1")
    check_setting("freeze", freeze, warmup < freeze <= 1, "above warmup, and 1 at most")
    check_setting("score_rate", score_rate, 0 < score_rate < math.inf, "above 0")
    if price == "count" and budget_bits is not None:
        raise PatchSettingError("a patch with price=count has no budget_bits: gates have no bits.")
    gated = gates(inner, per)

    def inside(params: PatchParams) -> PatchParams:
        return params._replace(trained=params.trained["inner"])

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        made = inner.init(key, weights)
        scores = {group: jnp.asarray(START, jnp.float32) for group in gated.bits(made)}
        return made._replace(trained={"inner": made.trained, "scores": scores})

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        return gated.apply(weights, inside(params), params.trained["scores"], context)

    def penalty(params: PatchParams, context: Context) -> Any:
        sizes = gated.bits(inside(params))
        total = sum(sizes.values())
        prices = sizes if price == "bits" else dict.fromkeys(sizes, total / len(sizes))
        share = sum(
            # A score below zero is not pushed on, so that it finds back when its layer is missed.
            prices[group] / total * above(jnp.maximum(score, 0), THRESHOLD)
            for group, score in params.trained["scores"].items()
        )
        excess = share if budget_bits is None else jnp.maximum(share - budget_bits / total, 0)
        counted = jnp.asarray(context["progress"] >= warmup, jnp.float32)
        return counted * weight * excess + inner.penalty(inside(params), context)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return gated.cost(inside(params), params.trained["scores"])

    def pack(params: PatchParams) -> LeafEdits:
        return gated.pack(inside(params), params.trained["scores"])

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        moving = jnp.asarray(context["progress"] < freeze, jnp.float32)
        return {
            "inner": inner.rates(weights, inside(params), context),
            "scores": dict.fromkeys(params.trained["scores"], score_rate * moving),
        }

    return inner._replace(
        init=init,
        apply=apply,
        penalty=penalty,
        cost=cost,
        pack=pack,
        rates=rates,
    )
