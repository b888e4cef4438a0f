"""A narrow network with one block of each kind, and small helpers over it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from adapters.backbones.builder import build
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable
from adapters.heads.classification import classification
from adapters.heads.together import TaskHeads
from adapters.training.state import Batch

EPSILON = 1e-3
SIZE = 32
CLASSES = (3, 2, 5)
PIXELS = ((127.5,) * 3, (127.5,) * 3)

TABLE = LayerTable(
    "narrow",
    (
        Convolution(inputs=3, outputs=8, kernel=3, stride=2, activation="relu6"),
        InvertedResidual(inputs=8, outputs=8, kernel=3, expanded=8, activation="relu6"),
        InvertedResidual(
            inputs=8, outputs=12, kernel=5, expanded=16, stride=2, activation="relu", squeezed=4
        ),
        InvertedResidual(inputs=12, outputs=12, kernel=3, expanded=24, activation="relu6"),
        Convolution(inputs=12, outputs=16, activation="relu6"),
    ),
)
BACKBONE = build(TABLE, "same", EPSILON)
HEADS = TaskHeads((classification(),) * len(CLASSES), CLASSES)
LAYOUT = HEADS.layout("classification")


@functools.cache
def weights():
    """Random weights whose norm statistics and scales are not the trivial ones."""
    # Random numbers take long to compile; so, the same bits take a third of the time.
    init = jax.jit(BACKBONE.init, compiler_options={"xla_backend_optimization_level": 1})
    return disturbed(init(jax.random.key(0)), seed=1)


def disturbed(tree, seed, size=0.1):
    """Every leaf times 1 + noise, plus noise; variances stay positive."""
    generator = np.random.default_rng(seed)

    def move(leaf):
        noise = size * generator.random((2, *leaf.shape), np.float32)
        return jnp.asarray(np.asarray(leaf) * (1 + noise[0]) + noise[1])

    return jax.tree.map(move, tree)


def images(groups, examples, seed=0):
    """Pixels [groups, examples, 32, 32, 3] uint8 and labels [groups, examples] below 2."""
    generator = np.random.default_rng(seed)
    shape = (groups, examples, SIZE, SIZE, 3)
    return (
        generator.integers(0, 256, shape, np.uint8),
        generator.integers(0, 2, (groups, examples), np.int32),
    )


def batch(tasks, pixels, labels):
    """Of groups: task ids [G], and what `images` gives, labels counted within each task."""
    rows = labels + LAYOUT.starts[np.asarray(tasks) % len(CLASSES), None]
    return Batch(np.asarray(tasks, np.int32), {"image": pixels}, {"label": rows})


def head(state):
    """The wide head of the tasks."""
    return state.heads["classification"][""]


def normalised(pixels):
    return (jnp.asarray(pixels, jnp.float32) - 127.5) / 127.5


def mesh(devices=1):
    return Mesh(np.asarray(jax.devices()[:devices]), ("data",))
