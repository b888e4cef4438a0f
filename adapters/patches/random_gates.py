"""Gates that nobody learns: what a patch of learned size has to beat at the same size."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.gates import GROUPS, Group, gates
from adapters.patches.naming import named
from adapters.patches.settings import check_setting

OPEN, CLOSED = 1.0, 0.0


@named
def random_gates(inner: Patch, budget_bits: int, per: Group = "layer") -> Patch:
    """Lets `inner` through in layers that each task draws, as many as fit `budget_bits`.

    Layers are drawn in a random order of the task's own; one that no longer fits is left out.

    Args:
      inner: what an open gate lets through.
      budget_bits: that a task's file may spend on edits.
      per: what one gate is for: a convolution with its norm, or a whole block.

    Raises PatchSettingError.
    """
    check_setting("budget_bits", budget_bits, budget_bits >= 0, "0 or more")
    check_setting("per", per, per in GROUPS, f"one of {', '.join(GROUPS)}")
    gated = gates(inner, per)

    def inside(params: PatchParams) -> PatchParams:
        return params._replace(fixed=params.fixed["inner"])

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        own_key, order_key = jax.random.split(key)
        made = inner.init(own_key, weights)
        bits = gated.bits(made)
        sizes = jnp.asarray(list(bits.values()), jnp.int32)
        budget = min(budget_bits, int(sum(bits.values())))
        order = jax.random.permutation(order_key, len(bits))

        def draw(left: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
            fits = sizes[index] <= left
            return left - jnp.where(fits, sizes[index], 0), fits

        _, fitting = lax.scan(draw, jnp.asarray(budget, jnp.int32), order)
        chosen = (
            jnp.full(len(bits), CLOSED, jnp.float32).at[order].set(jnp.where(fitting, OPEN, CLOSED))
        )
        scores = dict(zip(bits, chosen, strict=True))
        return made._replace(fixed={"inner": made.fixed, "scores": scores})

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        return gated.apply(weights, inside(params), params.fixed["scores"], context)

    def cost(params: PatchParams) -> Mapping[str, Any]:
        return gated.cost(inside(params), params.fixed["scores"])

    def pack(params: PatchParams) -> LeafEdits:
        return gated.pack(inside(params), params.fixed["scores"])

    return inner._replace(
        init=init,
        apply=apply,
        penalty=lambda params, context: inner.penalty(inside(params), context),
        cost=cost,
        pack=pack,
        rates=lambda weights, params, context: inner.rates(weights, inside(params), context),
    )
