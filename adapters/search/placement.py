"""Which layers of a frozen network a task patches, and with what, as a space of decisions.

After SpotPatch (Ye et al., ACCV 2020, arXiv 2101.01260), which learns a gate a layer round one kind
of patch, and TuNAS (arXiv 2008.06120), whose controller chooses among several here: our
combination. A decision a layer, a convolution with its norm: nothing, or one of the patches that
would change it. One compiled step serves all placements, since what is not placed stands behind a
closed gate (`adapters.patches.gates`); a file holds what is placed and nothing else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.modules import running_order
from adapters.patches.contract import Context, LeafEdits, Patch, PatchParams, Weights
from adapters.patches.depthwise import depthwise
from adapters.patches.gates import gates
from adapters.patches.lora import lora
from adapters.patches.merge import merge_edits
from adapters.patches.scale_bias import scale_bias
from adapters.search.costs import Costs
from adapters.search.route import ROUTE
from adapters.search.space import Decision, Space, SpaceError

NONE = "none"


def members() -> dict[str, Patch]:
    """What may be placed at a layer, by name."""
    return {"scale_bias": scale_bias(), "depthwise": depthwise(), "lora": lora(rank=2)}


class PlacementSpace(NamedTuple):
    """The space over the layers of some weights.

    Attributes:
      members: what may be placed, by name.
      space: a decision a layer, whose first option is `NONE`.
      costs: bytes that a float32 file stores of edits: exact.
      places: {layer: number of its decision}, in the order in which layers run.
    """

    members: Mapping[str, Patch]
    space: Space
    costs: Costs
    places: Mapping[str, int]


def placement_space(members: Mapping[str, Patch], weights: Weights) -> PlacementSpace:
    """The space of `members` over every layer that any of them changes.

    Raises SpaceError where none changes any.
    """
    key = jax.random.key(0)
    sizes: dict[str, dict[str, int]] = {}
    for name, member in members.items():
        made = jax.eval_shape(member.init, key, weights)
        for layer, bits in gates(member, "layer").bits(made).items():
            sizes.setdefault(layer, {NONE: 0})[name] = int(bits) // 8
    if not sizes:
        raise SpaceError("nothing can be placed: the patches change no layer.")
    layers = sorted(sizes, key=running_order)
    return PlacementSpace(
        members,
        Space([Decision(layer, tuple(sizes[layer])) for layer in layers]),
        Costs(
            0,
            tuple(np.array([*sizes[layer].values()], np.int64) for layer in layers),
            tuple((place,) for place in range(len(layers))),
        ),
        {layer: place for place, layer in enumerate(layers)},
    )


def placed(found: PlacementSpace) -> Patch:
    """Each task has at every layer what its route says: nothing, until another is written."""
    gated = {name: gates(member, "layer") for name, member in found.members.items()}

    def own(name: str, params: PatchParams) -> PatchParams:
        return PatchParams(params.trained[name], (), params.fixed["inner"][name])

    def scores(name: str, params: PatchParams) -> dict[str, Any]:
        route = params.fixed[ROUTE]
        options = [decision.options for decision in found.space.decisions]
        return {
            layer: (route[place] == options[place].index(name)).astype(jnp.float32)
            for layer, place in found.places.items()
            if name in options[place]
        }

    def init(key: jax.Array, weights: Weights) -> PatchParams:
        made = {
            name: member.init(jax.random.fold_in(key, index), weights)
            for index, (name, member) in enumerate(found.members.items())
        }
        return PatchParams(
            {name: each.trained for name, each in made.items()},
            (),
            {
                "inner": {name: each.fixed for name, each in made.items()},
                ROUTE: jnp.zeros(len(found.space), jnp.int32),
            },
        )

    def apply(weights: Weights, params: PatchParams, context: Context) -> Weights:
        for name, each in gated.items():
            weights = each.apply(weights, own(name, params), scores(name, params), context)
        return weights

    def cost(params: PatchParams) -> Mapping[str, Any]:
        total: dict[str, Any] = {}
        for name, each in gated.items():
            for key, bits in each.cost(own(name, params), scores(name, params)).items():
                total[key] = total.get(key, 0) + bits
        return total

    def pack(params: PatchParams) -> LeafEdits:
        return merge_edits(
            [each.pack(own(name, params), scores(name, params)) for name, each in gated.items()]
        )

    def rates(weights: Weights, params: PatchParams, context: Context) -> Any:
        return {
            name: member.rates(weights, own(name, params), context)
            for name, member in found.members.items()
        }

    return Patch(init=init, apply=apply, cost=cost, pack=pack, rates=rates)


def starting_logits(found: PlacementSpace, target: float) -> np.ndarray:
    """Logits [D, options] of `NONE` alone, by which a placement costs `target` bytes on average.

    All options alike would cost many times a small budget, and the controller had first to learn
    that. Ours.
    """
    tables = found.costs.blocks

    def mean(bias: float) -> float:
        shares = [1 / (len(table) - 1 + np.exp(bias)) for table in tables]
        return sum(share * float(table.sum()) for share, table in zip(shares, tables, strict=True))

    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(middle) > target else (low, middle)
    logits = np.zeros((len(tables), found.space.widths.max()), np.float32)
    logits[:, 0] = low
    return logits
