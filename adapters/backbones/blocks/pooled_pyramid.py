"""MOSAIC's encoder: arXiv 2112.11623, section 3.1, as tensorflow/models has it."""

import haiku as hk
import jax
import jax.numpy as jnp
from jax import lax

from adapters.backbones.rows import PooledPyramid
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise
from adapters.resizing import averaged, resized


class PooledPyramidBlock(hk.Module):
    """Levels side by side, and one 1x1; leaves in `mean`, `kernel_3`, ..., `project`."""

    def __init__(self, row: PooledPyramid, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._padding = row, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs] to [H, W, outputs]."""
        row, (height, width) = self._row, x.shape[:2]
        mean = jnp.mean(x, axis=(0, 1), keepdims=True)
        mean = Pointwise(row.expanded, name="mean")(mean, norm, row.activation)
        levels = [x, jnp.broadcast_to(mean, (height, width, row.expanded))]
        groups = [
            _Group(row, kernel, self._padding, name=f"kernel_{kernel}") for kernel in row.kernels
        ]
        for cells in row.cells:
            means, share = averaged(x, cells), x.shape[-1] // len(groups)
            found = [
                # Not `jnp.split`, which has no counterpart in exported graphs.
                group(lax.slice_in_dim(means, place * share, (place + 1) * share, axis=-1), norm)
                for place, group in enumerate(groups)
            ]
            levels.append(resized(jnp.concatenate(found, axis=-1), height, width))
        every = jnp.concatenate(levels, axis=-1)
        return Pointwise(row.outputs, name="project")(every, norm, row.activation)


class _Group(hk.Module):
    """Depthwise and 1x1 on a share of the channels; called once a level, with the same leaves."""

    def __init__(self, row: PooledPyramid, kernel: int, padding: str, *, name: str):
        super().__init__(name=name)
        self._row, self._kernel, self._padding = row, kernel, padding

    def __call__(self, x: jax.Array, norm: Normalise) -> jax.Array:
        """Maps [H, W, inputs / groups] to [H, W, expanded]."""
        row = self._row
        y = Depthwise(self._kernel, 1, self._padding, name="depthwise")(x, norm, row.activation)
        return Pointwise(row.expanded, name="project")(y, norm, row.activation)
