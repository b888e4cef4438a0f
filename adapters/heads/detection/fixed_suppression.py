"""Non-maximum suppression with fixed shapes, for compiled programs and exported graphs."""

import jax
import jax.numpy as jnp

from adapters.heads.detection.boxes import overlaps


def kept(
    boxes: jax.Array, scores: jax.Array, classes: jax.Array, most: int, most_overlap: float
) -> tuple[jax.Array, jax.Array]:
    """Which of the `most` surest boxes stay, as `suppression.kept` says it.

    Args:
      boxes: [N, 4].
      scores: [N].
      classes: [N] int32.
      most: how many are looked at, N at most.
      most_overlap: intersection over union.

    Returns:
      The numbers of the surest [most], the surest first, and which of them stay [most].
    """
    _, order = jax.lax.top_k(scores, most)
    chosen, of = boxes[order], classes[order]
    rivals = (overlaps(chosen, chosen) > most_overlap) & (of[:, None] == of[None])
    before = jnp.arange(most)

    def one(number: jax.Array, stay: jax.Array) -> jax.Array:
        beaten = jnp.any(stay & rivals[:, number] & (before < number))
        return stay.at[number].set(~beaten)

    return order, jax.lax.fori_loop(0, most, one, jnp.ones(most, bool))
