"""A backbone as one ONNX graph that takes patches as inputs, or as one task's own graph."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.backbones.builder import Backbone
from adapters.export.onnx.builder import IMAGES_AXIS
from adapters.export.onnx.convert import onnx_graph
from adapters.export.onnx.session import KEY
from adapters.inference.compiled import Prepare, of_one_image
from adapters.modules import module_and_leaf
from adapters.patches.contract import no_look
from adapters.runtime import signatures
from adapters.runtime.channels import Array, Weights, without_statistics
from adapters.runtime.fold import fold_norms
from adapters.runtime.graph_file import leaf_of
from adapters.runtime.signatures import HEAD_B, HEAD_W, IMAGES, LOGITS
from adapters.store.edits import apply_edits
from adapters.store.kinds import Edits


def export_backbone(
    network: Backbone, weights: Weights, kind: str, size: int, about: Mapping[str, Any]
) -> bytes:
    """A graph of any number of images, with the inputs of a kind of `adapters.runtime.signatures`.

    It maps `images` [N, size, size, 3], normalised, `head/w` [features, classes] and `head/b`
    [classes] to `logits` [N, classes]: of any number of classes. Every input is required.

    Args:
      network: built under the weights' conventions.
      weights: float32.
      kind: `norms` or `depthwise`.
      size: side of the images, in pixels.
      about: what the metadata shall say.

    Raises ONNXError or UnsupportedOperationError.
    """
    inputs = signatures.inputs(kind, weights)
    features = network.table.features

    def logits(image: jax.Array, given: Mapping[str, jax.Array]) -> jax.Array:
        patched: dict[str, dict[str, Any]] = {m: dict(leaves) for m, leaves in weights.items()}
        for name in inputs:
            module, leaf = module_and_leaf(name)
            patched[module][leaf] = given[name]
        return network.apply(patched, image, "folded").features @ given[HEAD_W] + given[HEAD_B]

    shapes = {HEAD_W: (features, 2), HEAD_B: (2,)}
    shapes |= {name: leaf_of(weights, name).shape for name in inputs}
    return onnx_graph(
        logits,
        _array(size, size, 3),
        {name: _array(*shape) for name, shape in shapes.items()},
        (IMAGES, LOGITS),
        {HEAD_W: (features, "classes"), HEAD_B: ("classes",), LOGITS: (IMAGES_AXIS, "classes")},
        _metadata({**about, "inputs": kind}),
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
) -> bytes:
    """A graph of one task alone, of any patch: `images` [N, size, size, 3] in, `logits` out.

    `prepare` is the patch's, and becomes part of the graph. Raises ONNXError,
    UnsupportedOperationError, CannotFoldError, or what `apply_edits` raises.
    """
    folded = without_statistics(fold_norms(apply_edits(weights, edits), epsilon), epsilon)
    features = of_one_image(network, prepare, "folded")

    def logits(image: jax.Array, _: Mapping[str, jax.Array]) -> jax.Array:
        return features(folded, image) @ head["w"] + head["b"]

    return onnx_graph(logits, _array(size, size, 3), {}, (IMAGES, LOGITS), {}, _metadata({**about}))


def _array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _metadata(about: Mapping[str, Any]) -> dict[str, str]:
    return {KEY: json.dumps(about, sort_keys=True, separators=(",", ":"))}
