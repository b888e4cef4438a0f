"""A backbone as one LiteRT graph that takes patches as inputs, or has them written into it."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone, expected_shapes
from adapters.errors import ModelPatchError
from adapters.export import converter, quantiser
from adapters.heads import linear
from adapters.inference.compiled import of_one_image
from adapters.modules import follows_kernel, module_and_leaf
from adapters.patches.contract import Prepare, no_look
from adapters.runtime import int8, signatures
from adapters.runtime.channels import without_statistics
from adapters.runtime.fold import fold_norms
from adapters.runtime.graph_file import Array, Graph, Place, Weights, leaf_of
from adapters.runtime.preprocessing_check import Pixels
from adapters.runtime.signatures import HEAD_B, HEAD_W, IMAGES, LOGITS, PROBABILITIES
from adapters.store.edits import apply_edits
from adapters.store.kinds import Edits

FLOAT32, INT8 = "float32", "int8"

# Kernels as LiteRT may store them: as they are; a matrix by outputs; [k, k, in, out] by outputs.
_ORDERS: Mapping[int, tuple[tuple[int, ...], ...]] = {
    1: ((0,),),
    2: ((1, 0), (0, 1)),
    4: ((3, 0, 1, 2), (0, 1, 2, 3)),
}


class ExportError(ModelPatchError):
    """A graph in which a leaf of the backbone cannot be found again."""


class Settings(NamedTuple):
    """What a graph is made for; see `graph_file.Graph`. Kernels are stored as float32 or int8.

    A `portable` graph is slower; any LiteRT runtime runs it without being told anything.
    """

    classes: int = 128
    sizes: tuple[int, ...] = (224,)
    batches: tuple[int, ...] = (1, 8)
    kinds: tuple[str, ...] = (signatures.NORMS, signatures.FOLDED)
    kernels: str = FLOAT32
    portable: bool = False


def export_backbone(
    name: str,
    network: Backbone,
    weights: Weights,
    fingerprint: str,
    epsilon: float,
    pixels: tuple[Pixels, Pixels],
    settings: Settings,
) -> Graph:
    """The graph of a backbone.

    The graph is first made of random numbers, by which every leaf is found again in the bytes, and
    only then of the weights: exactly as a device folds a patch into it. So two leaves that happen
    to be equal stay two, and nothing can be lost in conversion unnoticed.

    Args:
      name: of the backbone, for people.
      network: built under the weights' conventions.
      weights: float32, norm statistics included.
      fingerprint: of `weights`.
      epsilon: of the norms.
      pixels: mean and deviation of RGB pixels in 0..255, that the backbone was trained with.
      settings: what to make.

    Raises:
      ConverterError: the converter is missing, or cannot convert this network.
      ExportError: conversion has changed a leaf, so that nothing could be written into it.
    """
    given, weights = weights, own_weights(network, weights)
    marks = recognisable(weights, settings.kernels)
    inputs = {kind: signatures.inputs(kind, weights) for kind in settings.kinds}
    data, find = bytearray(_converted(network, marks, inputs, settings)), _place
    if settings.kernels == INT8:
        find = _int8_place
    kernels = {
        f"{module}/w": find(data, f"{module}/w", leaves["w"])
        for module, leaves in marks.items()
        if "w" in leaves
    }
    biases = {
        f"{path}/offset": _place(data, f"{path}/offset", leaves["offset"])
        for path, leaves in marks.items()
        if signatures.FOLDED in inputs and follows_kernel(path, weights)
    }
    for leaf, place in kernels.items():
        place.write(data, leaf_of(weights, leaf))
    for place in biases.values():
        place.write(data, np.full(place.shape, np.nan, np.float32))
    return Graph(
        backbone=name,
        fingerprint=fingerprint,
        epsilon=epsilon,
        mean=pixels[0],
        std=pixels[1],
        features=network.table.features,
        classes=settings.classes,
        sizes=settings.sizes,
        batches=settings.batches,
        inputs={kind: tuple(sorted(names)) for kind, names in inputs.items()},
        kernels=kernels,
        biases=biases,
        leaves=_without(weights, kernels),
        flatbuffer=bytes(data),
        tolerance=int8.TOLERANCE if settings.kernels == INT8 else 0.0,
        partial=len(weights) < len(given),
    )


def own_weights(network: Backbone, weights: Weights) -> dict[str, Mapping[str, Array]]:
    """A network's, without those of another one that looks at images first."""
    own = expected_shapes(network.table)
    return {module: leaves for module, leaves in weights.items() if module in own}


def export_task(
    network: Backbone,
    weights: Weights,
    epsilon: float,
    edits: Edits,
    head: Mapping[str, Array],
    size: int,
    batches: Sequence[int],
    prepare: Prepare = no_look,
    needs: Mapping[str, tuple[int, ...]] | None = None,
    output: str = LOGITS,
) -> bytes:
    """A `.tflite` for one task alone, of any patch: images in, logits out, nothing to install.

    Its signatures, `run_1` say, map `images` [N, size, size, 3], normalised, to `logits`, or to
    what else `output` names, `probabilities`. `prepare` is the patch's, and becomes part of the
    graph; what it reads beside the image, `needs` {name: shape}, becomes further inputs
    [N, *shape].

    Raises ConverterError, CannotFoldError, or what `apply_edits` raises.
    """
    folded = without_statistics(fold_norms(apply_edits(weights, edits), epsilon), epsilon)
    others = needs or {}

    def answers(given: Mapping[str, jax.Array]) -> jax.Array:
        inputs = {"image": given[IMAGES], **{name: given[name] for name in others}}
        logits = _logits(network, folded, head["w"], head["b"], inputs, prepare)
        return jax.nn.softmax(logits) if output == PROBABILITIES else logits

    return converter.flatbuffer(
        [
            converter.Signature(
                signatures.task_signature(batch),
                answers,
                {
                    name: jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
                    for name, shape in {IMAGES: (size, size, 3), **others}.items()
                },
                output,
            )
            for batch in batches
        ]
    )


def _converted(
    network: Backbone, marks: Weights, inputs: Mapping[str, Set[str]], settings: Settings
) -> bytes:
    data = converter.flatbuffer(
        [
            _signature(network, marks, kind, names, size, batch, settings.classes)
            for kind, names in inputs.items()
            for size in settings.sizes
            for batch in settings.batches
        ]
    )
    if settings.kernels == INT8:
        data = quantiser.int8_kernels(data)
    if settings.portable:
        return data
    from adapters.export.kernel_scales import scale_kernels  # needs LiteRT

    return scale_kernels(data)


def _signature(
    network: Backbone,
    marks: Weights,
    kind: str,
    inputs: Set[str],
    size: int,
    batch: int,
    classes: int,
) -> converter.Signature:
    def logits(given: Mapping[str, jax.Array]) -> jax.Array:
        weights: dict[str, dict[str, Any]] = {m: dict(leaves) for m, leaves in marks.items()}
        for name in inputs:
            module, leaf = module_and_leaf(name)
            weights[module][leaf] = given[name]
        return _logits(network, weights, given[HEAD_W], given[HEAD_B], {"image": given[IMAGES]})

    shapes = {
        IMAGES: (batch, size, size, 3),
        HEAD_W: (network.table.features, classes),
        HEAD_B: (classes,),
        **{name: leaf_of(marks, name).shape for name in inputs},
    }
    return converter.Signature(
        signatures.signature(kind, size, batch),
        logits,
        {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()},
        LOGITS,
    )


def _logits(
    network: Backbone,
    weights: Any,
    head_w: Any,
    head_b: Any,
    inputs: Mapping[str, Any],
    prepare: Prepare = no_look,
) -> jax.Array:
    taps = jax.vmap(of_one_image(network, prepare, "folded"), (None, 0))
    return linear.apply({"w": head_w, "b": head_b}, taps(weights, inputs))[linear.LOGITS]


def recognisable(weights: Weights, kernels: str = FLOAT32) -> dict[str, dict[str, Array]]:
    """Random numbers of the weights' shapes, by which each leaf is found again in a graph's bytes.

    Scales are 1, so that where they are constants they convert to nothing. Kernels to be stored as
    int8 are numbers that this does not round.
    """
    generator = np.random.default_rng(0)

    def mark(name: str, shape: tuple[int, ...]) -> Array:
        if name == "scale":
            return np.ones(shape, np.float32)
        if name == "w" and kernels == INT8:
            return int8.marked(shape, generator)
        return generator.standard_normal(shape, np.float32)

    return {
        module: {name: mark(name, leaf.shape) for name, leaf in leaves.items()}
        for module, leaves in weights.items()
    }


def _place(data: bytearray, name: str, leaf: npt.NDArray[Any]) -> Place:
    for axes in _ORDERS[leaf.ndim]:
        offsets = tuple(_occurrences(data, np.ascontiguousarray(leaf.transpose(axes)).tobytes()))
        if offsets:
            return Place(leaf.shape, axes, offsets)
    raise _changed(name, leaf.shape)


def _int8_place(data: bytearray, name: str, leaf: Array) -> Place:
    factors = int8.factors_of(leaf)
    places = tuple(_occurrences(data, factors.tobytes()))
    if not places:
        raise _changed(name, leaf.shape)
    return _place(data, name, int8.integers_of(leaf, factors))._replace(factors=places)


def _changed(name: str, shape: tuple[int, ...]) -> ExportError:
    return ExportError(
        f"conversion has changed {name} {list(shape)}, so that no patch could be folded into "
        "this backbone's graph. Export a graph for each task instead."
    )


def _occurrences(data: bytearray, content: bytes) -> Iterator[int]:
    start = data.find(content)
    while start >= 0:
        yield start
        start = data.find(content, start + len(content))


def _without(weights: Weights, kernels: Mapping[str, Place]) -> dict[str, dict[str, Array]]:
    rest = {
        module: {name: leaf for name, leaf in leaves.items() if f"{module}/{name}" not in kernels}
        for module, leaves in weights.items()
    }
    return {module: leaves for module, leaves in rest.items() if leaves}
