"""A backbone as one ONNX graph that takes patches as inputs, or as one task's own graph."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.export.idle import without_idle
from adapters.export.onnx.builder import IMAGES_AXIS
from adapters.export.onnx.convert import onnx_graph
from adapters.export.onnx.session import KEY
from adapters.heads import linear
from adapters.heads.classification import classification
from adapters.heads.contract import Head
from adapters.inference.compiled import of_one_image
from adapters.modules import module_and_leaf
from adapters.patches.contract import Prepare, no_look
from adapters.runtime import signatures
from adapters.runtime.channels import Array, Weights, without_statistics
from adapters.runtime.fold import fold_norms
from adapters.runtime.graph_file import leaf_of
from adapters.runtime.rooms import Room
from adapters.runtime.signatures import HEAD, HEAD_B, HEAD_W, IMAGES, LOGITS
from adapters.store.edits import apply_edits
from adapters.store.kinds import Edits


def export_backbone(
    network: Backbone,
    weights: Weights,
    kind: str,
    size: int,
    about: Mapping[str, Any],
    room: Room | None = None,
) -> bytes:
    """A graph of any number of images, with the inputs of a kind of `adapters.runtime.signatures`.

    It maps `images` [N, size, size, 3], normalised, and a head's leaves to its predictions: without
    `room`, `head/w` [features, classes] and `head/b` [classes] to `logits` [N, classes], of any
    number of classes; else those of heads in that room. Every input is required.

    Args:
      network: built under the weights' conventions.
      weights: float32.
      kind: `norms` or `depthwise`.
      size: side of the images, in pixels.
      about: what the metadata shall say.
      room: for heads that read other maps than the pooled features, of images of that size.

    Raises ONNXError or UnsupportedOperationError.
    """
    inputs, width = signatures.inputs(kind, weights), network.table.features
    dimensions: dict[str, tuple[int | str, ...]] = {}
    metadata = {**about, "inputs": kind}
    if room is None:
        room = Room("classification", {}, {linear.FEATURES: width}, 2, size)
        dimensions = {HEAD_W: (width, "classes"), HEAD_B: ("classes",)}
        dimensions[LOGITS] = (IMAGES_AXIS, "classes")
    else:
        metadata["room"] = room
    head = room.head
    taps = of_one_image(network, no_look, "folded", head.taps)

    def predictions(image: jax.Array, given: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        patched: dict[str, dict[str, Any]] = {m: dict(leaves) for m, leaves in weights.items()}
        for name in inputs:
            module, leaf = module_and_leaf(name)
            patched[module][leaf] = given[name]
        own = {name.removeprefix(HEAD): given[name] for name in room.shapes}
        return head.apply(own, taps(patched, {"image": image}))

    shapes = {**room.shapes, **{name: leaf_of(weights, name).shape for name in inputs}}
    return onnx_graph(
        predictions,
        _array(size, size, 3),
        {name: _array(*shape) for name, shape in shapes.items()},
        IMAGES,
        dimensions,
        _metadata(metadata),
    )


def export_task(
    network: Backbone,
    weights: Weights,
    epsilon: float,
    edits: Edits,
    head: Mapping[str, Array],
    size: int,
    about: Mapping[str, Any],
    prepare: Prepare = no_look,
    needs: Mapping[str, tuple[int, ...]] | None = None,
    kind: Head = classification(),  # noqa: B008, it never changes
) -> bytes:
    """A graph of one task alone, of any patch: `images` [N, size, size, 3] in, predictions out.

    They are those of the head, of this `kind`. `prepare` is the patch's, and becomes part of the
    graph; what it reads beside the image, `needs` {name: shape}, becomes further inputs
    [N, *shape]. Raises ONNXError, UnsupportedOperationError, CannotFoldError, or what `apply_edits`
    raises.
    """
    network, patched = without_idle(network, apply_edits(weights, edits), prepare, kind.taps)
    folded = without_statistics(fold_norms(patched, epsilon), epsilon)
    taps = of_one_image(network, prepare, "folded", kind.taps)

    def predictions(image: jax.Array, others: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return kind.apply(head, taps(folded, {"image": image, **others}))

    return onnx_graph(
        *(predictions, _array(size, size, 3), {}, IMAGES, {}, _metadata({**about})),
        others={name: _array(*shape) for name, shape in (needs or {}).items()},
    )


def _array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _metadata(about: Mapping[str, Any]) -> dict[str, str]:
    return {KEY: json.dumps(about, sort_keys=True, separators=(",", ":"))}
