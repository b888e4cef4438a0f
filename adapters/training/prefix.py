"""The part of a network that a run leaves as it is: the same for an image in every epoch.

Which layers that are is told by the patch itself: those whose leaves its `apply` passes on, the
very arrays, whatever else it does. All rows before the first that it touches are the prefix; what
the rest reads of them is one vector an image, computed once.
"""

import itertools
import math
from collections.abc import Callable, Collection
from typing import NamedTuple

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone, Begun, after
from adapters.backbones.table import LayerTable
from adapters.backbones.taps import FEATURES, place
from adapters.modules import block_of
from adapters.patches.contract import Patch, PatchParams, Weights, no_look
from adapters.patches.forward import forward


class Prefix(NamedTuple):
    """The untouched first rows of a network, for images of one size.

    Attributes:
      blocks: their names, in order.
      size: side of the images, in pixels.
      values: float32 numbers that are kept of an image.
      apply: (weights, image [H, W, 3], normalised) -> [values]. Written for one image.
      rest: what follows: its `apply` takes that vector in place of the image.
    """

    blocks: tuple[str, ...]
    size: int
    values: int
    apply: Callable[[Weights, jax.Array], jax.Array]
    rest: Backbone


def prefix(
    backbone: Backbone, patch: Patch, weights: Weights, taps: Collection[str], size: int
) -> Prefix | None:
    """What of `backbone` comes before all that `patch` touches; None where that is nothing.

    Args:
      backbone: the network, with frozen norms.
      patch: what each task trains of it.
      weights: of the backbone, as `patch.extend` has them.
      taps: the maps that heads read.
      size: side of the images, in pixels.
    """
    first = _untouched(backbone, patch, weights)
    if not first:
        return None
    table = backbone.table
    names = _read(table, first, taps)

    def maps(weights: Weights, image: jax.Array) -> dict[str, jax.Array]:
        return forward(backbone, no_look, weights, {"image": image}, {}, names).taps

    def apply(weights: Weights, image: jax.Array) -> jax.Array:
        known = maps(weights, image)
        return jnp.concatenate([known[name].ravel() for name in names])

    pixels = jax.ShapeDtypeStruct((size, size, 3), jnp.float32)
    shapes = {name: each.shape for name, each in jax.eval_shape(maps, weights, pixels).items()}
    ends = list(itertools.accumulate(math.prod(shapes[name]) for name in names))

    def begun(vector: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        parts = jnp.split(vector, ends[:-1])
        known = {name: part.reshape(shapes[name]) for name, part in zip(names, parts, strict=True)}
        return known[names[0]], {name: each for name, each in known.items() if name != FEATURES}

    blocks = tuple(name for name, _ in table.all_rows()[:first])
    return Prefix(blocks, size, ends[-1], apply, after(backbone, Begun(first, begun)))


def _untouched(backbone: Backbone, patch: Patch, weights: Weights) -> int:
    """How many rows come before the first that `patch` touches: none if it looks at inputs."""
    names = [name for name, _ in backbone.table.all_rows()]
    if patch.prepare is not no_look or patch.needs:
        return 0
    touched: set[str] = set()

    def trace(key: jax.Array, weights: Weights, params: PatchParams, progress: jax.Array) -> None:
        context = {"backbone": backbone, "key": key, "progress": progress, "norm": ("frozen",)}
        patched = patch.apply(weights, params, context)
        for path in {*weights, *patched}:
            before, now = weights.get(path, {}), patched.get(path, {})
            same = before.keys() == now.keys() and all(now[name] is before[name] for name in now)
            if not same:
                touched.add(block_of(path))

    key = jax.random.key(0)
    # What it owns begins as the shared leaves, often as the very arrays: here it is told apart.
    owned = jax.eval_shape(patch.init, key, weights)
    jax.eval_shape(trace, key, weights, owned, jnp.zeros(()))
    if not touched <= {*names}:
        return 0
    return min((names.index(name) for name in touched), default=len(names))


def _read(table: LayerTable, first: int, taps: Collection[str]) -> list[str]:
    """What is read of the first rows by those after them and by heads; first what comes last."""
    done = {name for name, _ in table.all_rows()[:first]}
    trunk = [name for name, _ in table.named_rows()]
    neck = table.neck[max(first - len(trunk), 0) :]
    wanted = [
        *(own for row in neck for own in (row.reads, row.beside, row.adds)),
        *(place(table, tap) for tap in sorted(taps)),
    ]
    last = trunk[first - 1] if first < len(trunk) else FEATURES
    return [*dict.fromkeys([last, *(own for own in wanted if block_of(own) in done)])]
