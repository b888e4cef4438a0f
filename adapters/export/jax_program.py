"""A backbone as a serialised JAX program whose arguments are patched weights, head and images."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from adapters.backbones.builder import Backbone, Shapes
from adapters.heads.classification import classification
from adapters.inference.compiled import of_one_image
from adapters.patches.contract import no_look
from adapters.runtime.rooms import Room

PLATFORMS = ("cpu", "cuda", "tpu")


def jax_program(
    network: Backbone, shapes: Shapes, size: int, batch: int, room: Room | None = None
) -> bytes:
    """What `jax.export.deserialize` reads on any of `PLATFORMS`; needs nothing of this project.

    Its `call` takes the weights `{module: {leaf: array}}` with a patch's edits applied, a head's
    leaves and normalised images [batch, size, size, 3], and gives the head's predictions by name.
    Without `room` that is a head {"w": [C, classes], "b": [classes]} of any number of classes,
    and `logits` [batch, classes]. A change of patch compiles nothing; one of classes compiles once.

    Args:
      network: of frozen norms.
      shapes: {module: {leaf: shape}} of its weights.
      size, batch: of the images.
      room: for heads that read other maps than the pooled features, of images of that size.
    """
    head = classification() if room is None else room.head

    def predictions(
        weights: Any, own: Mapping[str, jax.Array], images: jax.Array
    ) -> dict[str, jax.Array]:
        taps = jax.vmap(of_one_image(network, no_look, taps=head.taps), (None, 0))
        return head.apply(own, taps(weights, {"image": images}))

    def array(*shape: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    if room is None:
        (classes,) = export.symbolic_shape("classes")
        leaves: Mapping[str, Any] = {"w": (network.table.features, classes), "b": (classes,)}
    else:
        leaves = head.shapes(room.channels, room.outputs)
    program = export.export(jax.jit(predictions), platforms=PLATFORMS)(
        {module: {n: array(*s) for n, s in own.items()} for module, own in shapes.items()},
        {leaf: array(*shape) for leaf, shape in leaves.items()},
        array(batch, size, size, 3),
    )
    return bytes(program.serialize())
