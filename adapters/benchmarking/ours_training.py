"""A training step of ours, ready to be timed."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from adapters.backbones import registry
from adapters.backbones.builder import build
from adapters.benchmarking import cases, stand_ins
from adapters.benchmarking.cases import Case
from adapters.heads.classification import classification
from adapters.heads.together import TaskHeads
from adapters.patches.contract import Weights
from adapters.patches.registry import from_spec
from adapters.scheduling.contract import Scheduling, Tasks
from adapters.scheduling.registry import COMBINES, scheduling
from adapters.training import placement
from adapters.training.recipe import Recipe
from adapters.training.state import Batch, State, Trainer
from adapters.training.step import trainer
from adapters.vocabulary import STATISTICS
from adapters.vocabulary import Precision as NetworkPrecision

RECIPE = Recipe(
    steps=1_000_000,
    patch_rate=cases.RATE,
    head_rate=cases.RATE,
    shared_rate=cases.RATE,
    head_decay=cases.HEAD_DECAY,
    smoothing=cases.SMOOTHING,
)
PIXELS = ((cases.PIXELS,) * 3, (cases.PIXELS,) * 3)
REFERENCE = 0.9  # accuracy of every task alone, for rules that go by it


class Step(NamedTuple):
    """What `trainer.step(state, weights, batch, key)` needs."""

    trainer: Trainer
    state: State
    weights: Weights
    batch: Batch
    key: jax.Array


def prepare(case: Case, devices: Sequence[jax.Device]) -> Step:
    """The step of a case, its groups shared out over `devices`: this process has its own."""
    table = registry.table(case.backbone)
    mesh = Mesh(np.asarray(devices), ("data",))
    made = trainer(
        *(build(table), from_spec(case.patch), heads(case), _recipe(case), PIXELS, mesh),
        lambda path, name, leaf: bool(case.rule) and name not in STATISTICS,
        _scheduling(case),
    )
    weights = placement.copied(mesh, jax.tree.map(jnp.asarray, stand_ins.weights(table)))
    labels = np.arange(case.examples, dtype=np.int32).reshape(case.groups, -1) % cases.CLASSES
    own = placement.own_groups(mesh, case.groups)
    batch = Batch(tasks(case), {"image": pixels(case)[own]}, {"label": labels[own]})
    key = placement.copied(mesh, jax.random.key(0))
    return Step(made, placement.copied(mesh, made.init(key, weights)), weights, batch, key)


def network_precision(case: Case) -> NetworkPrecision:
    """That of the frozen network's kernels and activations."""
    return "bfloat16" if case.precision == "bfloat16" else "float32"


def _recipe(case: Case) -> Recipe:
    return dataclasses.replace(
        RECIPE, precision=network_precision(case), native_gradients=case.native
    )


def heads(case: Case) -> TaskHeads:
    """Of every task, a classifier."""
    return TaskHeads((classification(),) * case.tasks, (cases.CLASSES,) * case.tasks)


def tasks(case: Case) -> np.ndarray:
    """The task of each group, [G]."""
    return np.arange(case.groups, dtype=np.int32) % case.tasks


def pixels(case: Case) -> np.ndarray:
    """The images of all groups, [G, E, size, size, 3]."""
    return stand_ins.pixels(case.groups, case.examples // case.groups, case.size)


def _scheduling(case: Case) -> Scheduling | None:
    if not case.rule:
        return None
    total = case.tasks
    known = Tasks((1,) * total, (cases.CLASSES,) * total, ("",) * total, (REFERENCE,) * total)
    combines = case.rule in COMBINES
    return scheduling("unit" if combines else case.rule, case.rule if combines else "sum", known)
