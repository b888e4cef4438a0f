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
from adapters.heads import linear
from adapters.inference.compiled import of_one_image
from adapters.modules import module_and_leaf
from adapters.patches.contract import Prepare, no_look
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
    taps = of_one_image(network, no_look, "folded")

    def logits(image: jax.Array, given: Mapping[str, jax.Array]) -> jax.Array:
        patched: dict[str, dict[str, Any]] = {m: dict(leaves) for m, leaves in weights.items()}
        for name in inputs:
            module, leaf = module_and_leaf(name)
            patched[module][leaf] = given[name]
        return _logits(taps(patched, {"image": image}), given[HEAD_W], given[HEAD_B])

    width = network.table.features
    shapes = {HEAD_W: (width, 2), HEAD_B: (2,)}
    shapes |= {name: leaf_of(weights, name).shape for name in inputs}
    return onnx_graph(
        logits,
        _array(size, size, 3),
        {name: _array(*shape) for name, shape in shapes.items()},
        (IMAGES, LOGITS),
        {HEAD_W: (width, "classes"), HEAD_B: ("classes",), LOGITS: (IMAGES_AXIS, "classes")},
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
    needs: Mapping[str, tuple[int, ...]] | None = None,
) -> bytes:
    """A graph of one task alone, of any patch: `images` [N, size, size, 3] in, `logits` out.

    `prepare` is the patch's, and becomes part of the graph; what it reads beside the image, `needs`
    {name: shape}, becomes further inputs [N, *shape]. Raises ONNXError,
    UnsupportedOperationError, CannotFoldError, or what `apply_edits` raises.
    """
    folded = without_statistics(fold_norms(apply_edits(weights, edits), epsilon), epsilon)
    taps = of_one_image(network, prepare, "folded")

    def logits(image: jax.Array, others: Mapping[str, jax.Array]) -> jax.Array:
        return _logits(taps(folded, {"image": image, **others}), head["w"], head["b"])

    return onnx_graph(
        *(logits, _array(size, size, 3), {}, (IMAGES, LOGITS), {}, _metadata({**about})),
        others={name: _array(*shape) for name, shape in (needs or {}).items()},
    )


def _logits(taps: Mapping[str, jax.Array], w: Any, b: Any) -> jax.Array:
    return linear.apply({"w": w, "b": b}, taps)[linear.LOGITS]


def _array(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _metadata(about: Mapping[str, Any]) -> dict[str, str]:
    return {KEY: json.dumps(about, sort_keys=True, separators=(",", ":"))}
