"""A run that begins with what is finished: a patch in the place of the identity, parts of heads."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.heads.padded import PaddedLayout
from adapters.heads.together import TaskHeads
from adapters.heads.wide import HeadLayout
from adapters.patches.contract import LeafEdits, Patch, Weights
from adapters.patches.embeddings import TEXTS
from adapters.patches.unpacking import unpacked
from adapters.training import placement
from adapters.training.state import State, Trainer


class KeptRows(NamedTuple):
    """The part of a finished head that a task begins with.

    Attributes:
      head: of the finished one; if it is linear, {`w` [features, outputs], `b` [outputs], and
        `NAME/w`, `NAME/b`}.
      places: [(output of the task, output of the finished head)].
    """

    head: Mapping[str, npt.NDArray[np.float32]]
    places: Sequence[tuple[int, int]]


def started(
    trainer: Trainer,
    patch: Patch,
    heads: TaskHeads,
    edits: LeafEdits | None,
    kept: Sequence[KeptRows | None],
) -> Trainer:
    """`trainer`, but in its first state every task owns what gives these edits, and these rows.

    Args:
      trainer: of the tasks.
      patch: that it trains.
      heads: the tasks' heads.
      edits: of a finished patch; None: what tasks own is the identity.
      kept: of each task, the outputs of its head that are there already; None: none is.

    `init` raises UnpackingError.
    """

    def init(key: jax.Array, weights: Weights) -> State:
        state = placement.local(trainer.init(key, weights))
        patches = state.patches
        if edits is not None:
            # Rows stay where training has them: from elsewhere, its step would be compiled twice.
            tasks = [jax.tree.map(itemgetter(task), patches) for task in range(len(kept))]
            rows = [unpacked(patch, params, edits) for params in tasks]
            patches = jax.tree.map(lambda *own: jnp.stack(own), *rows)
        tables = {kind: dict(own) for kind, own in state.heads.items()}
        for task, own in enumerate(kept):
            if own is not None and own.places:
                kind = heads.heads[task].kind
                layout = heads.layout(kind)
                if isinstance(layout, PaddedLayout):
                    tables[kind][""] = _begun(tables[kind][""], own, layout, task)
                    continue
                assert isinstance(layout, HeadLayout)
                for name in tables[kind]:
                    tables[kind][name] = _with_rows(tables[kind][name], name, own, layout, task)
        return state._replace(patches=patches, heads=tables)

    return trainer._replace(init=init)


def with_texts(trainer: Trainer, texts: npt.NDArray[np.float32]) -> Trainer:
    """`trainer`, but in its first state tasks have the vectors of their texts.

    Args:
      trainer: of a patch that reads texts; see `adapters.patches.embeddings`.
      texts: [tasks, numbers, WIDTH], 0 where a number has no text.
    """

    def init(key: jax.Array, weights: Weights) -> State:
        state = placement.local(trainer.init(key, weights))
        fixed = jax.tree_util.tree_map_with_path(
            lambda path, leaf: jnp.asarray(texts) if _is_of_texts(path) else leaf,
            state.patches.fixed,
        )
        return state._replace(patches=state.patches._replace(fixed=fixed))

    return trainer._replace(init=init)


def _is_of_texts(path: tuple[Any, ...]) -> bool:
    return bool(path) and getattr(path[-1], "key", None) == TEXTS


def _begun(
    table: dict[str, jax.Array], own: KeptRows, layout: PaddedLayout, task: int
) -> dict[str, jax.Array]:
    """A table with a task's head begun by the finished one."""
    begun = layout.head.begun
    assert begun is not None
    return layout.with_weights(
        table, task, begun(layout.weights(table, task), own.head, own.places)
    )


def _with_rows(
    table: dict[str, jax.Array], name: str, own: KeptRows, layout: HeadLayout, task: int
) -> dict[str, jax.Array]:
    """A table with a task's rows of one prediction put over it, if the finished head has it."""
    new, old = (np.asarray(places) for places in zip(*own.places, strict=True))
    found = {}
    for leaf, values in table.items():
        finished = own.head.get(f"{name}/{leaf}".removeprefix("/"))
        if finished is None or finished.T.shape[1:] != values.shape[1:]:
            return table
        found[leaf] = values.at[int(layout.starts[task]) + new].set(finished.T[old])
    return found
