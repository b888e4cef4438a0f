"""A tiny network run by loops, one multiplication at a time, each counted."""

import dataclasses

import jax
import numpy as np

from adapters.analysis.cost import network_cost
from adapters.backbones.builder import build
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable

TABLE = LayerTable(
    "tiny",
    (
        Convolution(inputs=3, outputs=4, kernel=3, stride=2, activation="relu"),
        InvertedResidual(inputs=4, outputs=4, expanded=6, kernel=3, activation="relu"),
        InvertedResidual(inputs=4, outputs=5, expanded=8, kernel=5, stride=2, activation="relu"),
        Convolution(inputs=5, outputs=7, activation="relu"),
    ),
)
SIZE, EPSILON = 10, 1e-3


@dataclasses.dataclass
class Loops:
    """Layers as nested loops over Python numbers."""

    weights: dict
    counted: int = 0

    def convolution(self, path, x, stride=1, grouped=False, linear=False):
        kernel = np.asarray(self.weights[path]["w"])
        if kernel.ndim == 2:
            kernel = kernel[None, None]
        side, rows = kernel.shape[0], -(-x.shape[0] // stride)
        padding = max((rows - 1) * stride + side - x.shape[0], 0)
        edges = (padding // 2, padding - padding // 2)
        padded = np.pad(x, (edges, edges, (0, 0)))
        y = np.zeros((rows, rows, kernel.shape[3]))
        for row, column, output in np.ndindex(*y.shape):
            for down, right, channel in np.ndindex(side, side, kernel.shape[2]):
                seen = padded[row * stride + down, column * stride + right]
                weight = kernel[down, right, channel, output]
                y[row, column, output] += seen[output if grouped else channel] * weight
                self.counted += 1
        y /= np.sqrt(1 + EPSILON)  # a fresh norm
        return y if linear else np.maximum(y, 0)

    def block(self, name, x, stride):
        y = self.convolution(f"{name}/expand", x)
        y = self.convolution(f"{name}/depthwise", y, stride, grouped=True)
        return self.convolution(f"{name}/project", y, linear=True)


def test_as_many_are_counted_as_give_the_same_features():
    backbone = build(TABLE, epsilon=EPSILON)
    weights = jax.jit(backbone.init)(jax.random.key(0))
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE, 3)).astype(np.float32)
    loops = Loops(dict(weights))
    x = loops.convolution("stem", image, stride=2)
    x = x + loops.block("block_01", x, stride=1)
    x = loops.block("block_02", x, stride=2)
    features = loops.convolution("tail", x).mean((0, 1))
    np.testing.assert_allclose(
        jax.jit(backbone.apply)(weights, image).features, features, rtol=1e-4
    )
    assert network_cost(backbone, SIZE).multiply_adds == loops.counted
