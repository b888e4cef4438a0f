"""How far an exported graph's answers are from JAX's."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError
from adapters.inference.compiled import inference
from adapters.patches.contract import Prepare, no_look
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import fed
from adapters.runtime.graph_file import Array, Graph, Weights

TOLERANCE = 1e-4
_AT_ONCE = 8  # images in one call of JAX, so that any number of them fits into memory


class ExportParityError(ModelPatchError):
    """An exported graph does not answer as JAX does."""


def graph_differences(
    graph: Graph, network: Backbone, weights: Weights, images: Mapping[int, Array]
) -> dict[str, float]:
    """By signature, the largest difference of a logit to JAX's as a part of the largest logit.

    The head is drawn at random and as wide as the graph allows.

    Args:
      graph: what was exported.
      network, weights: what it was exported from.
      images: by their side, [N, side, side, 3], normalised; N is at least the largest batch.
    """
    head = _random_head(graph)
    found = {}
    for kind in graph.inputs:
        feed = fed(graph, kind, graph.weights)
        engine = Engine(feed.flatbuffer or graph.flatbuffer, threads=1)
        for size in graph.sizes:
            wanted = jax_features(network, weights, images[size])
            wanted = wanted @ head[signatures.HEAD_W] + head[signatures.HEAD_B]
            for batch in graph.batches:
                name = signatures.signature(kind, size, batch)
                run = functools.partial(_answers, engine, name, {**feed.inputs, **head})
                found[name] = worst(wanted, {signatures.IMAGES: images[size]}, batch, run)
    return found


def moved(graph: Graph, network: Backbone, weights: Weights, images: Mapping[int, Array]) -> float:
    """How far rounding the kernels has moved a logit, as a part of its image's largest, in JAX.

    Args:
      graph: with the rounded kernels.
      network, weights: what it was exported from.
      images: by their side, [N, side, side, 3], normalised.
    """
    head = _random_head(graph)
    worst = 0.0
    for pictures in images.values():
        wanted, got = (
            jax_features(network, each, pictures) @ head[signatures.HEAD_W]
            + head[signatures.HEAD_B]
            for each in (weights, graph.weights)
        )
        far = np.abs(got - wanted).max(axis=1) / np.abs(wanted).max(axis=1)
        worst = max(worst, float(far.max()))
    return worst


def _random_head(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(0)
    return {
        signatures.HEAD_W: generator.standard_normal((graph.features, graph.classes), np.float32),
        signatures.HEAD_B: generator.standard_normal(graph.classes, np.float32),
    }


def task_differences(
    flatbuffer: bytes,
    network: Backbone,
    patched: Weights,
    head: Mapping[str, Array],
    batches: Sequence[int],
    images: Array,
    prepare: Prepare = no_look,
    others: Mapping[str, Array] | None = None,
    output: str = signatures.LOGITS,
) -> dict[str, float]:
    """The same of a graph for one task, which `export.export_task` made.

    Args:
      flatbuffer: the graph.
      network: of the backbone.
      patched: its weights with the task's edits.
      head: the task's.
      batches: that the graph has signatures for.
      images: [N, H, W, 3], normalised; N is at least the largest batch.
      prepare: the task's patch's.
      others: {name: [N, ...]} of the inputs that it reads beside the image.
      output: `logits`, or `probabilities`, which are then compared.
    """
    others = others or {}
    wanted = jax_features(network, patched, images, prepare, others) @ head["w"] + head["b"]
    if output == signatures.PROBABILITIES:
        wanted = np.asarray(jax.nn.softmax(wanted))
    inputs = {signatures.IMAGES: images, **others}
    engine = Engine(flatbuffer, threads=1)
    found = {}
    for batch in batches:
        name = signatures.task_signature(batch)
        run = functools.partial(_answers, engine, name, {}, output=output)
        found[name] = worst(wanted, inputs, batch, run)
    return found


def _answers(
    engine: Engine,
    name: str,
    fixed: Mapping[str, Array],
    inputs: Mapping[str, Array],
    output: str = signatures.LOGITS,
) -> Array:
    return engine.run(name, {**fixed, **inputs}, output)


def jax_features(
    network: Backbone,
    weights: Weights,
    images: Array,
    prepare: Prepare = no_look,
    others: Mapping[str, Array] | None = None,
) -> Array:
    """Features [N, C] of images [N, H, W, 3], by JAX, each after the patch's look at it.

    `others` are the inputs that the patch reads beside the image, {name: [N, ...]}.
    """
    inputs = {"image": images, **(others or {})}
    at_once = min(_AT_ONCE, len(images))
    compiled = inference(network, at_once, images.shape[1], prepare)
    found = np.empty((len(images), network.table.features), np.float32)
    for part in _calls(len(images), at_once):
        own = {name: each[part] for name, each in inputs.items()}
        found[part] = compiled.features(weights, own)
    return found


def worst(
    wanted: Array,
    inputs: Mapping[str, Array],
    batch: int,
    run: Callable[[Mapping[str, Array]], npt.NDArray[Any]],
) -> float:
    """The largest `difference` among calls of `batch` examples that together see all of them.

    Args:
      wanted: logits [N, classes].
      inputs: {name: [N, ...]}, N no less than `batch`.
      batch: what `run` takes.
      run: from inputs to logits.
    """
    found = []
    for part in _calls(len(wanted), batch):
        own = {name: each[part] for name, each in inputs.items()}
        found.append(difference(wanted[part], run(own)))
    return float(np.max(found))


def _calls(count: int, batch: int) -> list[slice]:
    """Calls of exactly `batch` among so many; the last may repeat some of the one before."""
    ends = (min(start + batch, count) for start in range(0, count, batch))
    return [slice(end - batch, end) for end in ends]


def difference(wanted: Array, got: Array) -> float:
    """The largest difference as a part of the largest number wanted; NaN where one is NaN."""
    return float(np.abs(wanted - got).max() / np.abs(wanted).max())


def check(differences: Mapping[str, float], tolerance: float) -> None:
    """Raises ExportParityError unless every difference is at most `tolerance`."""
    wrong = {name: far for name, far in differences.items() if not far <= tolerance}
    if wrong:
        name, far = max(wrong.items(), key=lambda item: item[1])
        raise ExportParityError(
            f"{name} differs from JAX by {far:.2g} of the largest logit, {tolerance:g} is allowed: "
            "nothing was written."
        )
