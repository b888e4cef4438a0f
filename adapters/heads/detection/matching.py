"""Which object each anchor has to find, if any."""

import jax
import jax.numpy as jnp

from adapters.heads.detection.boxes import overlaps

NONE = -1


def matches(
    anchors: jax.Array, objects: jax.Array, real: jax.Array, least_overlap: float = 0.5
) -> jax.Array:
    """The number of the object of each anchor, `NONE` where it has none: [A] int32.

    An anchor finds the object that it overlaps most, from `least_overlap` on; and every object is
    found by the anchor that overlaps it most, however little. Of objects with one best anchor the
    last has it, as in torchvision.

    Args:
      anchors: [A, 4].
      objects: boxes [M, 4].
      real: which of them are objects, [M] bool; the others only fill up.
      least_overlap: intersection over union.
    """
    shared = jnp.where(real[:, None], overlaps(objects, anchors), jnp.float32(-1))
    best = jnp.argmax(shared, axis=0).astype(jnp.int32)
    found = jnp.where(jnp.max(shared, axis=0) >= least_overlap, best, NONE)
    total = anchors.shape[0]
    own = jnp.where(real, jnp.argmax(shared, axis=1), total)  # beyond the last: dropped
    forced = jnp.full(total, NONE, jnp.int32)
    forced = forced.at[own].max(jnp.arange(objects.shape[0], dtype=jnp.int32), mode="drop")
    return jnp.where(forced != NONE, forced, found)
