"""How far an exported graph's answers are from JAX's."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from adapters.backbones.builder import Backbone
from adapters.errors import ModelPatchError
from adapters.heads.classification import classification
from adapters.heads.contract import Head
from adapters.inference.compiled import inference, predictions
from adapters.patches.contract import Prepare, no_look
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import fed
from adapters.runtime.graph_file import Array, Graph, Weights

TOLERANCE = 1e-4
_NOISE = 0.1
_AT_ONCE = 8  # images in one call of JAX, so that any number of them fits into memory


class ExportParityError(ModelPatchError):
    """An exported graph does not answer as JAX does."""


def graph_differences(
    graph: Graph, network: Backbone, weights: Weights, images: Mapping[int, Array]
) -> dict[str, float]:
    """By signature, the largest difference of a prediction to JAX's as a part of the largest one.

    Heads are drawn at random and as wide as the graph allows.

    Args:
      graph: what was exported.
      network, weights: what it was exported from.
      images: by their side, [N, side, side, 3], normalised; N is at least the largest batch.
    """
    found = {}
    for kind in graph.inputs:
        feed = fed(graph, kind, graph.weights)
        engine = Engine(feed.flatbuffer or graph.flatbuffer, threads=1)
        for room in graph.rooms:
            head = random_head(room.head, room.channels, room.outputs)
            own = {signatures.HEAD + leaf: values for leaf, values in head.items()}
            wanted = jax_predictions(network, weights, room.head, head, images[room.size])
            for batch in graph.batches:
                name = graph.signature(kind, room, batch)
                run = functools.partial(_predictions, engine, name, {**feed.inputs, **own})
                found[name] = worst(wanted, {signatures.IMAGES: images[room.size]}, batch, run)
    return found


def moved(graph: Graph, network: Backbone, weights: Weights, images: Mapping[int, Array]) -> float:
    """How far rounding the kernels has moved a prediction, as a part of its image's largest.

    Both are computed in JAX.

    Args:
      graph: with the rounded kernels.
      network, weights: what it was exported from.
      images: by their side, [N, side, side, 3], normalised.
    """
    furthest = 0.0
    for room in graph.rooms:
        head = random_head(room.head, room.channels, room.outputs)
        wanted, got = (
            jax_predictions(network, each, room.head, head, images[room.size])
            for each in (weights, graph.weights)
        )
        for name, values in wanted.items():
            axes = tuple(range(1, values.ndim))
            far = np.abs(got[name] - values).max(axis=axes) / np.abs(values).max(axis=axes)
            furthest = max(furthest, float(far.max()))
    return furthest


def random_head(head: Head, channels: Mapping[str, int], outputs: int) -> dict[str, Array]:
    """Weights of a head that are none's, near those that training starts from."""
    generator = np.random.default_rng(0)
    initial = head.initial(head.shapes(channels, outputs))
    return {
        leaf: values + _NOISE * generator.standard_normal(values.shape, np.float32)
        for leaf, values in initial.items()
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
    kind: Head = classification(),  # noqa: B008, it never changes
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
      kind: of the head.
      output: `logits`, say, or `probabilities`, which are then compared.
    """
    others = others or {}
    wanted = jax_predictions(network, patched, kind, head, images, prepare, others)
    if output == signatures.PROBABILITIES:
        wanted = {output: np.asarray(jax.nn.softmax(wanted[signatures.LOGITS]))}
    inputs = {signatures.IMAGES: images, **others}
    engine = Engine(flatbuffer, threads=1)
    found = {}
    for batch in batches:
        name = signatures.task_signature(batch)
        found[name] = worst(
            wanted, inputs, batch, functools.partial(_predictions, engine, name, {})
        )
    return found


def _predictions(
    engine: Engine, name: str, fixed: Mapping[str, Array], inputs: Mapping[str, Array]
) -> dict[str, Array]:
    return engine.predictions(name, {**fixed, **inputs})


def jax_predictions(
    network: Backbone,
    weights: Weights,
    kind: Head,
    head: Mapping[str, Array],
    images: Array,
    prepare: Prepare = no_look,
    others: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """What a head predicts of images [N, H, W, 3] by JAX, {name: [N, ...]}.

    Each image is looked at by the patch first; `others` are the inputs that this reads beside it,
    {name: [N, ...]}.
    """
    inputs = {"image": images, **(others or {})}
    at_once = min(_AT_ONCE, len(images))
    compiled = inference(network, at_once, images.shape[1], prepare, kind.taps)
    found: dict[str, Array] = {}
    for part in _calls(len(images), at_once):
        own = {name: each[part] for name, each in inputs.items()}
        for name, values in predictions(compiled, weights, head, own, kind.apply).items():
            found.setdefault(name, np.empty((len(images), *values.shape[1:]), np.float32))
            found[name][part] = values
    return found


def worst(
    wanted: Mapping[str, Array],
    inputs: Mapping[str, Array],
    batch: int,
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]],
) -> float:
    """The largest `difference` of a prediction among calls that together see all examples.

    Args:
      wanted: predictions {name: [N, ...]}.
      inputs: {name: [N, ...]}, N no less than `batch`.
      batch: how many examples `run` takes.
      run: from inputs to predictions.
    """
    found = []
    for part in _calls(len(next(iter(wanted.values()))), batch):
        got = run({name: each[part] for name, each in inputs.items()})
        found += [difference(values[part], got[name]) for name, values in wanted.items()]
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
            f"{name} differs from JAX by {far:.2g} of the largest number, {tolerance:g} is "
            "allowed: nothing was written."
        )
