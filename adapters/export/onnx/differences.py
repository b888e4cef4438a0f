"""How far an ONNX graph's answers are from JAX's."""

import functools
from collections.abc import Mapping

import numpy as np

from adapters.backbones.builder import Backbone
from adapters.export.export_parity import jax_features, worst
from adapters.export.onnx.session import Session
from adapters.patches.contract import Prepare, no_look
from adapters.runtime import signatures
from adapters.runtime.channels import Array, Weights
from adapters.runtime.feeds import patch_inputs

BATCHES = (1, 8)  # numbers of images in a call that are compared; a graph takes any
CLASSES = 128  # of the random head that is compared


def backbone_differences(
    graph: bytes, kind: str, network: Backbone, weights: Weights, epsilon: float, images: Array
) -> dict[str, float]:
    """By images in a call, the largest difference of a logit as a part of the largest logit.

    Args:
      graph: as `export_backbone` made it, with inputs of this kind.
      kind: of `adapters.runtime.signatures`.
      network, weights: what it was made of.
      epsilon: of the norms.
      images: [N, H, W, 3], normalised; N is at least the largest of `BATCHES`.
    """
    generator = np.random.default_rng(0)
    head = {
        "w": generator.standard_normal((network.table.features, CLASSES), np.float32),
        "b": generator.standard_normal(CLASSES, np.float32),
    }
    inputs = patch_inputs(weights, epsilon, {}, kind)
    inputs |= {signatures.HEAD_W: head["w"], signatures.HEAD_B: head["b"]}
    return _differences(graph, network, weights, head, inputs, images, no_look, {})


def task_differences(
    graph: bytes,
    network: Backbone,
    patched: Weights,
    head: Mapping[str, Array],
    images: Array,
    prepare: Prepare = no_look,
    others: Mapping[str, Array] | None = None,
) -> dict[str, float]:
    """The same of a graph for one task, of the backbone's weights with the task's edits.

    `prepare` is the task's patch's; `others` are the inputs that it reads beside the image,
    {name: [N, ...]}.
    """
    return _differences(graph, network, patched, head, {}, images, prepare, others or {})


def _differences(
    graph: bytes,
    network: Backbone,
    weights: Weights,
    head: Mapping[str, Array],
    inputs: Mapping[str, Array],
    images: Array,
    prepare: Prepare,
    others: Mapping[str, Array],
) -> dict[str, float]:
    wanted = jax_features(network, weights, images, prepare, others) @ head["w"] + head["b"]
    run = functools.partial(_run, Session(graph, threads=1), inputs)
    each = {signatures.IMAGES: images, **others}
    return {f"images_{batch}": worst(wanted, each, batch, run) for batch in BATCHES}


def _run(session: Session, fixed: Mapping[str, Array], inputs: Mapping[str, Array]) -> Array:
    return session.run({**fixed, **inputs})
