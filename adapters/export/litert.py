"""A backbone as one LiteRT graph that takes patches as inputs, or has them written into it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.interpreters.partial_eval import dce_jaxpr

from adapters.backbones.builder import Backbone, expected_shapes
from adapters.errors import ModelPatchError
from adapters.export import converter, quantiser
from adapters.export.idle import without_idle
from adapters.heads.classification import classification
from adapters.heads.contract import Head
from adapters.inference.compiled import of_one_image
from adapters.modules import follows_kernel, module_and_leaf
from adapters.patches.contract import Prepare, no_look
from adapters.runtime import int8, signatures
from adapters.runtime.channels import without_statistics
from adapters.runtime.fold import fold_norms
from adapters.runtime.graph_file import Array, Graph, Place, Weights, leaf_of
from adapters.runtime.preprocessing_check import Pixels
from adapters.runtime.rooms import Room
from adapters.runtime.signatures import HEAD, IMAGES, LOGITS, PROBABILITIES
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

    A `portable` graph is slower; any LiteRT runtime runs it without being told anything. `others`
    are rooms for heads that read other maps than the pooled features.
    """

    classes: int = 128
    sizes: tuple[int, ...] = (224,)
    batches: tuple[int, ...] = (1, 8)
    kinds: tuple[str, ...] = (signatures.NORMS, signatures.FOLDED)
    kernels: str = FLOAT32
    portable: bool = False
    others: tuple[Room, ...] = ()


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
    graph = Graph(
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
        kernels={},
        biases={},
        leaves=weights,
        flatbuffer=b"",
        tolerance=int8.TOLERANCE if settings.kernels == INT8 else 0.0,
        partial=len(weights) < len(given),
        others=settings.others,
    )
    data, find = bytearray(_converted(network, marks, graph, settings)), _place
    if settings.kernels == INT8:
        find = _int8_place
    read = _read_by(network, marks, graph.rooms)
    kernels = {
        f"{module}/w": find(data, f"{module}/w", leaves["w"])
        for module, leaves in marks.items()
        if f"{module}/w" in read
    }
    biases = {
        f"{path}/offset": _place(data, f"{path}/offset", leaves["offset"])
        for path, leaves in marks.items()
        if signatures.FOLDED in inputs
        and follows_kernel(path, weights)
        and f"{path}/offset" in read
    }
    for leaf, place in kernels.items():
        place.write(data, leaf_of(weights, leaf))
    for place in biases.values():
        place.write(data, np.full(place.shape, np.nan, np.float32))
    return dataclasses.replace(
        graph,
        kernels=kernels,
        biases=biases,
        leaves=_without(weights, kernels),
        flatbuffer=bytes(data),
    )


def _read_by(network: Backbone, weights: Weights, rooms: Sequence[Room]) -> set[str]:
    """`MODULE/LEAF` of all that some head's maps depend on: of a neck, none might."""
    taps = {name for room in rooms for name in room.head.taps}
    image = {"image": jax.ShapeDtypeStruct((rooms[0].size,) * 2 + (3,), jnp.float32)}
    traced = jax.make_jaxpr(of_one_image(network, no_look, "folded", taps))(weights, image).jaxpr
    _, used = dce_jaxpr(traced, [True] * len(traced.outvars))
    flat = [f"{module}/{leaf}" for module in sorted(weights) for leaf in sorted(weights[module])]
    return {name for name, read in zip(flat, used[: len(flat)], strict=True) if read}


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
    kind: Head = classification(),  # noqa: B008, it never changes
    output: str = LOGITS,
) -> bytes:
    """A `.tflite` for one task alone, of any patch: images in, predictions out, none to install.

    Its signatures, `run_1` say, map `images` [N, size, size, 3], normalised, to what the head, of
    this `kind`, predicts, or where `output` is `probabilities` to a classifier's. `prepare` is the
    patch's, and becomes part of the graph; what it reads beside the image, `needs` {name: shape},
    becomes further inputs [N, *shape].

    Raises ConverterError, CannotFoldError, or what `apply_edits` raises.
    """
    network, patched = without_idle(network, apply_edits(weights, edits), prepare, kind.taps)
    folded = without_statistics(fold_norms(patched, epsilon), epsilon)
    others = needs or {}

    def predictions(given: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        inputs = {"image": given[IMAGES], **{name: given[name] for name in others}}
        found = _predictions(network, folded, kind, head, inputs, prepare)
        return {output: jax.nn.softmax(found[LOGITS])} if output == PROBABILITIES else found

    return converter.flatbuffer(
        [
            converter.Signature(
                signatures.task_signature(batch),
                predictions,
                {
                    name: jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
                    for name, shape in {IMAGES: (size, size, 3), **others}.items()
                },
            )
            for batch in batches
        ]
    )


def _converted(network: Backbone, marks: Weights, graph: Graph, settings: Settings) -> bytes:
    data = converter.flatbuffer(
        [
            _signature(network, marks, graph, kind, room, batch)
            for kind in graph.inputs
            for room in graph.rooms
            for batch in graph.batches
        ]
    )
    if settings.kernels == INT8:
        data = quantiser.int8_kernels(data)
    if settings.portable:
        return data
    from adapters.export.kernel_scales import scale_kernels  # needs LiteRT

    return scale_kernels(data)


def _signature(
    network: Backbone, marks: Weights, graph: Graph, kind: str, room: Room, batch: int
) -> converter.Signature:
    head, inputs = room.head, graph.inputs[kind]

    def predictions(given: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        weights: dict[str, dict[str, Any]] = {m: dict(leaves) for m, leaves in marks.items()}
        for name in inputs:
            module, leaf = module_and_leaf(name)
            weights[module][leaf] = given[name]
        own = {name.removeprefix(HEAD): given[name] for name in room.shapes}
        return _predictions(network, weights, head, own, {"image": given[IMAGES]})

    shapes = {
        IMAGES: (batch, room.size, room.size, 3),
        **room.shapes,
        **{name: leaf_of(marks, name).shape for name in inputs},
    }
    return converter.Signature(
        graph.signature(kind, room, batch),
        predictions,
        {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()},
    )


def _predictions(
    network: Backbone,
    weights: Any,
    kind: Head,
    head: Mapping[str, Any],
    inputs: Mapping[str, Any],
    prepare: Prepare = no_look,
) -> dict[str, jax.Array]:
    taps = jax.vmap(of_one_image(network, prepare, "folded", kind.taps), (None, 0))
    return kind.apply(head, taps(weights, inputs))


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
