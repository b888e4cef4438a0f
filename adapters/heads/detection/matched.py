"""What each anchor of one image has to predict, in JAX."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.heads.contract import Arrays
from adapters.heads.detection import matching
from adapters.heads.detection.answering import OBJECTS
from adapters.heads.detection.boxes import encoded
from adapters.heads.detection.detections import ANCHORS


class Matched(NamedTuple):
    """Attributes are those of each anchor.

    Attributes:
      positive: whether it has an object, [A] bool.
      classes: the number of the object's class, [A] int32; without an object it means nothing.
      offsets: of its box, [A, 4]; 0 without an object.
    """

    positive: jax.Array
    classes: jax.Array
    offsets: jax.Array


def matched(predictions: Arrays, targets: Arrays) -> Matched:
    """The anchors among the predictions of one image, with its objects among the targets."""
    objects: Any = jnp.asarray(targets[OBJECTS])
    anchors = jnp.asarray(predictions[ANCHORS])
    boxes, classes = objects[:, :4], objects[:, 4].astype(jnp.int32)
    match = matching.matches(anchors, boxes, classes >= 0)
    positive, mine = match != matching.NONE, jnp.maximum(match, 0)
    # Rows that only fill up are of no area, whose logarithm no gradient should see.
    wanted = encoded(jnp.where(positive[:, None], boxes[mine], anchors), anchors)
    return Matched(positive, classes[mine], wanted)
