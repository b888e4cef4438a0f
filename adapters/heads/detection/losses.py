"""What detectors are trained on: how wrong boxes are, and how wrong their classes.

Each is of one image, summed over its anchors and divided by how many of them have an object.
"""

import jax
import jax.numpy as jnp

NEGATIVES = 3  # anchors without an object for each with one
LEAST_NEGATIVES = 3  # of every image, also of one without objects


def box_loss(offsets: jax.Array, wanted: jax.Array, positive: jax.Array) -> jax.Array:
    """Smooth L1 of offsets [A, 4] at the anchors with an object, `positive` [A] bool."""
    far = jnp.abs(offsets - wanted)
    one, half = (jnp.asarray(number, far.dtype) for number in (1.0, 0.5))
    smooth = jnp.where(far < one, half * far * far, far - half)
    return _mean(jnp.sum(smooth, axis=-1), positive, positive)


def mined_loss(costs: jax.Array, positive: jax.Array) -> jax.Array:
    """Costs [A] of the anchors with an object and of the worst three times as many without.

    Hard negative mining: Liu et al., "SSD", arXiv 1512.02325, section 2.2. An image without objects
    has three negatives, as in TensorFlow; torchvision takes none.
    """
    wanted = jnp.maximum(NEGATIVES * jnp.sum(positive), LEAST_NEGATIVES)
    hardness = jnp.where(positive, jnp.asarray(-jnp.inf, costs.dtype), costs)
    rank = jnp.argsort(jnp.argsort(-jax.lax.stop_gradient(hardness)))
    return _mean(costs, positive | ((rank < wanted) & ~positive), positive)


def focal_loss(
    logits: jax.Array,
    wanted: jax.Array,
    positive: jax.Array,
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> jax.Array:
    """Sigmoid focal loss of logits [A, K], for `wanted` [A, K] of 0 and 1.

    Lin et al., "Focal Loss for Dense Object Detection", arXiv 1708.02002, equation 5.
    """
    one = jnp.ones((), logits.dtype)
    wrong = jax.nn.sigmoid(jnp.where(wanted > 0, -logits, logits))
    cost = jax.nn.softplus(jnp.where(wanted > 0, -logits, logits))
    weight = jnp.where(wanted > 0, alpha * one, (1 - alpha) * one)
    costs = jnp.sum(weight * wrong**gamma * cost, axis=-1)
    return _mean(costs, jnp.ones_like(positive), positive)


def _mean(costs: jax.Array, counted: jax.Array, positive: jax.Array) -> jax.Array:
    """The sum of the counted costs over the number of anchors with an object, 1 at least."""
    total = jnp.sum(jnp.where(counted, costs, jnp.zeros((), costs.dtype)))
    return total / jnp.maximum(jnp.sum(positive), 1).astype(costs.dtype)
