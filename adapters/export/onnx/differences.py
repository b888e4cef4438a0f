"""How far an ONNX graph's answers are from JAX's."""

from collections.abc import Mapping

from adapters.backbones.builder import Backbone
from adapters.export.export_parity import jax_predictions, random_head, worst
from adapters.export.onnx.session import Session
from adapters.heads import linear
from adapters.heads.classification import classification
from adapters.heads.contract import Head
from adapters.patches.contract import Prepare, no_look
from adapters.runtime.channels import Array, Weights
from adapters.runtime.feeds import patch_inputs
from adapters.runtime.rooms import Room
from adapters.runtime.signatures import HEAD, IMAGES

BATCHES = (1, 8)  # numbers of images in a call that are compared; a graph takes any
CLASSES = 128  # of the random head that is compared


def backbone_differences(
    graph: bytes,
    kind: str,
    network: Backbone,
    weights: Weights,
    epsilon: float,
    images: Array,
    room: Room | None = None,
) -> dict[str, float]:
    """By images in a call, the largest difference of a prediction as a part of the largest one.

    Args:
      graph: as `export_backbone` made it, with inputs of this kind.
      kind: of `adapters.runtime.signatures`.
      network, weights: what it was made of.
      epsilon: of the norms.
      images: [N, H, W, 3], normalised; N is at least the largest of `BATCHES`.
      room: as for `export_backbone`.
    """
    features = {linear.FEATURES: network.table.features}
    room = room or Room("classification", {}, features, CLASSES, images.shape[1])
    head = random_head(room.head, room.channels, room.outputs)
    inputs = patch_inputs(weights, epsilon, {}, kind)
    inputs |= {HEAD + leaf: values for leaf, values in head.items()}
    wanted = jax_predictions(network, weights, room.head, head, images)
    return _differences(graph, wanted, inputs, {IMAGES: images})


def task_differences(
    graph: bytes,
    network: Backbone,
    patched: Weights,
    head: Mapping[str, Array],
    images: Array,
    prepare: Prepare = no_look,
    others: Mapping[str, Array] | None = None,
    kind: Head = classification(),  # noqa: B008, it never changes
) -> dict[str, float]:
    """The same of a graph for one task, of the backbone's weights with the task's edits.

    `prepare` is the task's patch's; `others` are the inputs that it reads beside the image,
    {name: [N, ...]}; `kind` is of the head.
    """
    wanted = jax_predictions(network, patched, kind, head, images, prepare, others)
    return _differences(graph, wanted, {}, {IMAGES: images, **(others or {})})


def _differences(
    graph: bytes,
    wanted: Mapping[str, Array],
    fixed: Mapping[str, Array],
    inputs: Mapping[str, Array],
) -> dict[str, float]:
    session = Session(graph, threads=1)

    def run(given: Mapping[str, Array]) -> dict[str, Array]:
        return session.predictions({**fixed, **given})

    return {f"images_{batch}": worst(wanted, inputs, batch, run) for batch in BATCHES}
