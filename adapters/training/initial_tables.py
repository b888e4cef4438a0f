"""The tables of heads that training begins with, those of a patch's own predictions among them."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.backbones.taps import channels
from adapters.heads.contract import HeadSettingError
from adapters.heads.linear import FEATURES
from adapters.heads.together import Table, TaskHeads
from adapters.patches.contract import Patch, Prepared, Weights


def initial_tables(
    heads: TaskHeads, kind: str, backbone: Backbone, auxiliary: Mapping[str, int]
) -> dict[str, Table]:
    """The tables of one kind: of the heads themselves, and of each auxiliary prediction."""
    layout = heads.layout(kind)
    read = {name: channels(backbone.table, name) for name in heads.of_kind(kind).taps}
    if auxiliary and heads.of_kind(kind).together == "padded":
        raise HeadSettingError(
            f"the patch also predicts from {', '.join(auxiliary)}, a vector of features; the head "
            f"{kind} cannot read that: choose a patch that predicts nothing of its own."
        )
    return {
        "": layout.initial(read),
        **{name: layout.initial({FEATURES: width}) for name, width in auxiliary.items()},
    }


def auxiliary_widths(backbone: Backbone, patch: Patch, weights: Weights) -> dict[str, int]:
    """Features of each auxiliary prediction that `patch` makes of one image, by name."""

    def look(weights: Weights) -> Prepared:
        patched = patch.apply(weights, patch.init(jax.random.key(0), weights), {})
        needs = {"image": (32, 32, 3), **dict(patch.needs)}
        inputs = {name: jnp.zeros(shape, jnp.float32) for name, shape in needs.items()}
        return patch.prepare(patched, inputs, {"backbone": backbone})

    seen = jax.eval_shape(look, weights)
    return {name: made.features.shape[-1] for name, made in seen.auxiliary.items()}
