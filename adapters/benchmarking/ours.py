"""Our side: the very functions that the commands run, on made-up weights and images."""

import contextlib
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones import registry
from adapters.backbones.builder import build
from adapters.benchmarking import (
    cases,
    compilations,
    ours_blocks,
    ours_files,
    ours_processes,
    ours_training,
    stand_ins,
    worker,
)
from adapters.benchmarking.cases import Case
from adapters.benchmarking.worker import Prepared
from adapters.compiled_programs import keep_compiled_programs
from adapters.heads.linear import FEATURES
from adapters.heads.registry import from_spec as head_from_spec
from adapters.inference.compiled import inference, predictions
from adapters.inference.early_exit import early_exit
from adapters.modules import PREVIEW
from adapters.patches.registry import from_spec
from adapters.training.forward import mixed_forward
from adapters.training.state import Batch


def prepare(case: Case) -> Prepared:
    """Builds a case; one of its facts is how many programs XLA compiled for the first run."""
    works = {
        "inference": _inference,
        "block": ours_blocks.block_alone,
        "row": ours_blocks.row_alone,
        "finish": _finish,
        "training": _training,
        "processes": ours_processes.together,
        "forward": _forward,
        "swap": ours_files.swap,
        "input": ours_files.training_input,
    }
    compiled = compilations.counter()
    with products(case):
        prepared = works[case.work](case)

    def run() -> object:
        with products(case):
            return prepared.run()

    def facts() -> dict[str, float]:
        with products(case):
            return {"programs compiled": float(compiled()), **prepared.facts()}

    return Prepared(run, facts)


def products(case: Case) -> contextlib.AbstractContextManager[object]:
    """How a GPU multiplies; by itself, JAX rounds to `tf32` where the GPU can."""
    if case.platform == "cpu" or case.precision == "bfloat16":
        return contextlib.nullcontext()
    return jax.default_matmul_precision("tensorfloat32" if case.precision == "tf32" else "highest")


def _inference(case: Case) -> Prepared:
    """The device's network and one head, from normalised images to predictions."""
    table = registry.table(case.backbone)
    kind = head_from_spec(case.head or "classification")
    network = inference(build(table), case.examples, case.size, taps=kind.taps)
    weights, generator = stand_ins.weights(table), np.random.default_rng(0)
    classes = cases.DEVICE_CLASSES if case.head else cases.CLASSES
    head = stand_ins.head_of(kind, table, classes, generator)
    (images,) = stand_ins.pixels(1, case.examples, case.size)
    inputs = {"image": (images.astype(np.float32) - cases.PIXELS) / cases.PIXELS}

    def facts() -> dict[str, float]:
        return compilations.analysis(jax.jit(network.taps), weights, inputs)

    return Prepared(lambda: predictions(network, weights, head, inputs, kind.apply), facts)


def _finish(case: Case) -> Prepared:
    """From normalised images, and what a first look gave for each, to features."""
    table, patch = registry.table(case.backbone), from_spec(case.patch)
    weights = patch.extend(jax.random.key(0), jax.tree.map(jnp.asarray, stand_ins.weights(table)))
    network = early_exit(build(table), patch.prepare, PREVIEW, [case.examples])
    (images,) = stand_ins.pixels(1, case.examples, case.size)
    normalised = (images.astype(np.float32) - cases.PIXELS) / cases.PIXELS
    leaves, _ = network.look(weights, normalised)
    return Prepared(lambda: np.asarray(network.finish(weights, leaves, normalised)))


def _training(case: Case) -> Prepared:
    """One step from pixels on the host to moved parameters."""
    ready = ours_training.prepare(case, jax.devices()[:1])
    made, weights, batch, key = ready.trainer, ready.weights, ready.batch, ready.key
    state, done = ready.state, itertools.count()

    def run() -> None:
        nonlocal state
        for _ in range(case.steps):
            state, metrics = made.step(state, weights, batch, key, next(done))
        jax.block_until_ready((state, metrics))

    def facts() -> dict[str, float]:
        trained = jax.tree.leaves((state.patches.trained, state.heads, state.shared))
        # The step reads the task ids on the host: they cannot be traced.
        step = jax.jit(
            lambda state, weights, inputs, targets: made.step(
                state, weights, Batch(batch.tasks, inputs, targets), key, 0
            ),
            donate_argnums=0,
        )
        figures = compilations.analysis(step, state, weights, batch.inputs, batch.targets)
        return {"values trained": float(sum(leaf.size for leaf in trained)), **figures}

    return Prepared(run, facts)


def _forward(case: Case) -> Prepared:
    """A mixed-task batch from normalised images to logits."""
    table, patch = registry.table(case.backbone), from_spec(case.patch)
    precision = ours_training.network_precision(case)
    layout = ours_training.heads(case).layout("classification")
    forward = jax.jit(mixed_forward(build(table), patch, layout, "frozen", precision=precision))
    weights = jax.tree.map(jnp.asarray, stand_ins.weights(table))
    key = jax.random.key(0)
    tables = jax.vmap(patch.init, (0, None))(jax.random.split(key, case.tasks), weights)
    heads = {"": layout.initial({FEATURES: table.features})}
    images = jnp.asarray(
        (ours_training.pixels(case).astype(np.float32) - cases.PIXELS) / cases.PIXELS
    )
    keys = jax.random.split(key, images.shape[:2])
    batch = (ours_training.tasks(case), {"image": images}, keys)
    arguments = (weights, tables, heads, *batch, jnp.zeros(()))
    return Prepared(lambda: jax.block_until_ready(forward(*arguments)))


def main() -> None:
    """Serves this side, with compiled programs kept as the commands keep them."""
    keep_compiled_programs()
    worker.serve(f"JAX {jax.__version__}", prepare, jax.devices()[0].device_kind)


if __name__ == "__main__":
    main()
