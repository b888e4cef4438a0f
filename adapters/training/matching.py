"""Feature matching: a student's map, through a matrix of its task's own, beside its teacher's.

Li and Bilen, "Knowledge Distillation for Multi-task Learning", arXiv 2007.06889, whose adaptors are
1x1 convolutions, and whose distance is between maps of length one. Adaptors are trained beside the
heads, and no file has them. Theirs begin at random; ours as the identity, since teacher and student
begin as one network.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

MAP = "teacher map"  # the name of the target
_LEAST = 1e-12  # of a squared length


class Matched(NamedTuple):
    """What is matched.

    Attributes:
      map: its name, see `adapters.backbones.taps`.
      channels: of the student's and of the teacher's.
    """

    map: str
    channels: tuple[int, int]


Adaptors = Mapping[str, jax.Array]
"""{"w": [T, C, C']}; empty where nothing is matched."""


def initial(matched: Matched | None, tasks: int) -> Adaptors:
    """Each task's matrix before training: of ones on the diagonal."""
    if matched is None:
        return {}
    return {"w": jnp.broadcast_to(jnp.eye(*matched.channels), (tasks, *matched.channels))}


def distances(adaptors: Adaptors, own: jax.Array, teachers: jax.Array) -> jax.Array:
    """Of each group, its images' mean squared distance, from 0 to 4.

    Args:
      adaptors: of the groups, `w` [G, C, C'].
      own: the students' maps [G, E, ..., C].
      teachers: the teachers' [G, E, ..., C'].
    """
    adapted = jnp.einsum("ge...c,gcd->ge...d", own, adaptors["w"])
    gaps = jnp.square(_unit(adapted) - _unit(teachers))
    return jnp.mean(jnp.sum(gaps, axis=tuple(range(2, gaps.ndim))), axis=1)


def _unit(maps: jax.Array) -> jax.Array:
    """Each image's map [G, E, ...] with the length 1."""
    squares = jnp.sum(jnp.square(maps), axis=tuple(range(2, maps.ndim)), keepdims=True)
    return maps * jax.lax.rsqrt(jnp.maximum(squares, _LEAST))
