"""Kernels as 8-bit integers with one factor an output channel; what computes with them is float32.

Symmetric, as LiteRT stores them: kernel = integers * factors, integers from -127 to 127, and the
output channel is a kernel's last axis. After Krishnamoorthi, arXiv 1806.08342, section 2.2.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
LARGEST = 127
# Of a patch's largest logit, where the patch does not state logits for rounded kernels. These move
# those of the pocket suite by 0.04 to 0.08.
TOLERANCE = 0.25


def factors_of(kernel: Array) -> Array:
    """[out] for a kernel [..., out]: its largest element in each output channel becomes 127."""
    largest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
    factors = (largest / np.float32(LARGEST)).astype(np.float32)
    return np.where(factors > 0, factors, np.float32(1))


def integers_of(kernel: Array, factors: Array) -> npt.NDArray[np.int8]:
    """The integers nearest to kernel / factors."""
    nearest = np.rint(kernel / factors)
    return np.clip(nearest, -LARGEST, LARGEST).astype(np.int8)


def rounded(kernel: Array) -> Array:
    """The kernel as int8 keeps it, float32."""
    factors = factors_of(kernel)
    return integers_of(kernel, factors) * factors


def rounded_kernels(weights: Mapping[str, Mapping[str, Array]]) -> dict[str, dict[str, Array]]:
    """The weights {module: {leaf: array}} with every kernel rounded; all else is shared."""
    return {
        module: {name: rounded(leaf) if name == "w" else leaf for name, leaf in leaves.items()}
        for module, leaves in weights.items()
    }


def marked(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """A random kernel that integers and factors give exactly, however a program computes them."""
    integers = generator.integers(-LARGEST, LARGEST + 1, shape)
    integers.reshape(-1, shape[-1])[0] = LARGEST
    # Of 16 bits, so that their products with integers of 7 fit the 24 of a float32.
    factors = generator.integers(2**15, 2**16, shape[-1]) / 2**20
    return (integers * factors).astype(np.float32)
