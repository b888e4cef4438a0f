"""How large the shared leaves are: the units in which patches learn.

Adam moves a value by about the learning rate, however large the value is, and backbones differ in
that by their framework's habits: PyTorch decays the scales of norms, to a fifth of Keras's. So a
leaf moves in units of its own size, and one rate does the same to every backbone: where a layer's
leaves are multiplied by a number that the next layer takes back, training goes on as before. LARS
(You, Gitman, Ginsburg, arXiv 1708.03888) and LAMB (You et al., arXiv 1904.00962) measure a layer by
its weights too, anew at each step; a patch's size is that of the frozen leaf. Our reconstruction.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from adapters.modules import norm_of
from adapters.patches.contract import Context, PatchParams, Weights
from adapters.vocabulary import BIAS, KERNEL, OFFSET, SCALE, VARIANCE

FLOOR = 1e-3  # so that a leaf of zeros moves


def size_of(leaves: Mapping[str, jax.Array], name: str) -> jax.Array:
    """The size of one of a module's leaves, a scalar: the root of its mean square.

    What is added has the size of what it is added to: an offset that of the scale beside it, for
    normalised values have size 1, and a bias that of the kernel's sums over inputs of size 1.
    """
    if name == OFFSET:
        return size_of(leaves, SCALE)
    if name == BIAS:
        return _gain_of(leaves)
    return _root_mean(jnp.square(leaves[name]))


def size_of_sums(weights: Weights, layer: str) -> jax.Array:
    """How far a convolution's sums spread, as the norm that follows it says."""
    return _root_mean(weights[norm_of(layer)][VARIANCE])


def size_of_inputs(weights: Weights, layer: str) -> jax.Array:
    """How large the values are that a convolution reads, as its sums and its kernel say."""
    return size_of_sums(weights, layer) / _gain_of(weights[layer])


def _gain_of(leaves: Mapping[str, jax.Array]) -> jax.Array:
    """How large a kernel's sums are over independent inputs of size 1."""
    return size_of(leaves, KERNEL) * math.sqrt(math.prod(leaves[KERNEL].shape[:-1]))


def _root_mean(values: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.sqrt(jnp.mean(values)), FLOOR)


def own_sizes(weights: Weights, params: PatchParams, context: Context) -> Any:
    """The `rates` of patches whose `trained`, {module path: {leaf: array}}, are shared leaves.

    What the shared weights lack has no size: its rate is the run's.
    """
    del context
    return {
        path: {
            name: size_of(weights[path], name) if name in weights.get(path, {}) else 1.0
            for name in named
        }
        for path, named in params.trained.items()
    }
