"""Patches whose size is learned: a gate a layer, and a price for what an open one stores.

After Ye, Kovashka, Sandler, Zhu, Howard, Fornoni, "SpotPatch", ACCV 2020, arXiv 2101.01260, whose
text we could not read: the mechanism here is our reconstruction. A score a per layer l starts above
a threshold; the gate g = [a > threshold] is hard forward and the identity backward (Bengio et al.,
arXiv 1308.3432). Weights become w + g (w' - w), where w' is what the inner patch makes of w: a
closed gate leaves the layer, its norm and the norm's statistics as the base has them, to the bit.
The loss gains

    weight * sum_l g_l s_l / sum_l s_l

with s_l the bits that a file spends on layer l. Where every task has one weight, a task keeps more
gates the more each is worth to it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from adapters.layers.optional import IDENTITY
from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.settings import PatchSettingError, check_setting
from adapters.patches.straight_through import above

# Wallingford et al., arXiv 2203.16708, start and cut there too, as their released code does.
START, THRESHOLD = 0.15, 0.1

Group = Literal["layer", "block"]
Price = Literal["bits", "count"]

_GROUPS: Mapping[str, Callable[[str], str]] = {
    "layer": lambda path: path.removesuffix("/norm"),
    "block": lambda path: path.split("/")[0],
}


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
    check_setting("per", per, per in _GROUPS, f"one of {', '.join(_GROUPS)}")
    check_setting("price", price, price in ("bits", "count"), "bits or count")
    check_setting("warmup", warmup, 0 <= warmup < 1, "from 0 to below 1")
    check_setting("freeze", freeze, warmup < freeze <= 1, "above warmup, and 1 at most")
    check_setting("score_rate", score_rate, 0 < score_rate < math.inf, "above 0")
    if price == "count" and budget_bits is not None:
        raise PatchSettingError("a patch with price=count has no budget_bits: gates have no bits.")
    group_of = _GROUPS[per]

    def inside(params: PatchParams) -> PatchParams:
        return PatchParams(params.trained["inner"], params.measured)

    def bits_by_group(params: PatchParams) -> dict[str, float]:
        total: dict[str, float] = {}
        for key, bits in inner.cost(inside(params)).items():
            group = group_of(key.split("/", 1)[1].rpartition("/")[0])
            total[group] = total.get(group, 0) + bits
        return total

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        made = inner.init(key, weights)
        closed = PatchParams({"inner": made.trained, "scores": {}}, made.measured)
        scores = {group: jnp.asarray(START) for group in bits_by_group(closed)}
        return PatchParams({"inner": made.trained, "scores": scores}, made.measured)

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        patched, scores = inner.apply(weights, inside(params), context), params.trained["scores"]
        gated = {}
        for path, leaves in patched.items():
            base = weights[path]
            gated[path] = {
                name: leaf
                if leaf is base.get(name)
                else _gated(_shared(base, name, leaf), leaf, scores[group_of(path)])
                for name, leaf in leaves.items()
            }
        return gated

    def penalty(params: PatchParams, context: Context) -> Any:
        sizes = bits_by_group(params)
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
        scores = params.trained["scores"]
        return {
            key: bits * above(scores[group_of(key.split("/", 1)[1].rpartition("/")[0])], THRESHOLD)
            for key, bits in inner.cost(inside(params)).items()
        }

    def pack(params: PatchParams) -> LeafEdits:
        scores = params.trained["scores"]
        kept = {
            kind: {
                path: leaves
                for path, leaves in modules.items()
                if bool(scores[group_of(path)] > THRESHOLD)
            }
            for kind, modules in inner.pack(inside(params)).items()
        }
        return {kind: modules for kind, modules in kept.items() if modules}

    def rates(params: PatchParams, context: Context) -> Any:
        moving = jnp.asarray(context["progress"] < freeze, jnp.float32)
        return {
            "inner": inner.rates(inside(params), context),
            "scores": dict.fromkeys(params.trained["scores"], score_rate * moving),
        }

    return inner._replace(
        init=init,
        apply=apply,
        prepare=lambda weights, params, image, context: inner.prepare(
            weights, inside(params), image, context
        ),
        penalty=penalty,
        cost=cost,
        pack=pack,
        rates=rates,
    )


def _shared(base: Mapping[str, jax.Array], name: str, leaf: jax.Array) -> jax.Array:
    """What stands in the place of `leaf` where a gate is closed."""
    return base[name] if name in base else jnp.full_like(leaf, IDENTITY[name])


@jax.custom_vjp
def _gated(shared: jax.Array, patched: jax.Array, score: jax.Array) -> jax.Array:
    """shared + g * (patched - shared), exactly the one or the other."""
    return jnp.where(score > THRESHOLD, patched, shared)


def _forward(shared: jax.Array, patched: jax.Array, score: jax.Array) -> tuple[jax.Array, Any]:
    return _gated(shared, patched, score), (score > THRESHOLD, patched - shared)


def _backward(saved: Any, gradient: Any) -> tuple[Any, Any, Any]:
    is_open, change = saved
    zero = jnp.zeros_like(gradient)
    return (
        jnp.where(is_open, zero, gradient),
        jnp.where(is_open, gradient, zero),
        jnp.sum(gradient * change),
    )


_gated.defvjp(_forward, _backward)
