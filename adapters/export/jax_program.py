"""A backbone as a serialised JAX program whose arguments are patched weights, head and images."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from adapters.backbones.builder import Backbone, Shapes
from adapters.heads import linear
from adapters.inference.compiled import of_one_image
from adapters.patches.contract import no_look

PLATFORMS = ("cpu", "cuda", "tpu")


def jax_program(network: Backbone, shapes: Shapes, size: int, batch: int) -> bytes:
    """What `jax.export.deserialize` reads on any of `PLATFORMS`; needs nothing of this project.

    Its `call` takes the weights `{module: {leaf: array}}` with a patch's edits applied, the head
    `{"w": [C, classes], "b": [classes]}` and normalised images [batch, size, size, 3], and gives
    logits [batch, classes]. A change of patch compiles nothing; one of classes compiles once.

    Args:
      network: of frozen norms.
      shapes: {module: {leaf: shape}} of its weights.
      size, batch: of the images.
    """

    def logits(weights: Any, head: Mapping[str, jax.Array], images: jax.Array) -> jax.Array:
        taps = jax.vmap(of_one_image(network, no_look), (None, 0))
        return linear.apply(head, taps(weights, {"image": images}))[linear.LOGITS]

    def array(*shape: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    (classes,) = export.symbolic_shape("classes")
    program = export.export(jax.jit(logits), platforms=PLATFORMS)(
        {module: {n: array(*s) for n, s in leaves.items()} for module, leaves in shapes.items()},
        {"w": array(network.table.features, classes), "b": array(classes)},
        array(batch, size, size, 3),
    )
    return bytes(program.serialize())
