"""What weights make do nothing is left out: the same function, of smaller arrays.

A task's route (`adapters.search`) reaches a device as weights that do nothing: a block whose last
norm has scale and offset 0, channels whose norms have, a kernel's ring of zeros, a depthwise layer
that gives what it is given, a gate that is open whatever comes. Here they are found in the weights
themselves, wherever they came from.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.backbones.rows import InvertedResidual, Row, UniversalBottleneck
from adapters.backbones.table import LayerTable
from adapters.layers.activations import PASSES, activate
from adapters.modules import block_of, network_of, norm_of
from adapters.vocabulary import (
    BIAS,
    GAIN,
    KERNEL,
    MEAN,
    MODULATION,
    NORM,
    OFFSET,
    OPEN,
    SCALE,
    VARIANCE,
)

Array = npt.NDArray[Any]
Weights = Mapping[str, Mapping[str, Array]]

_INSIDE = ("/expand", "/depthwise", "/squeeze_excite/expand")  # whose outputs are a block's inside
_PLAIN = {KERNEL, BIAS, GAIN, OPEN, *NORM}  # leaves of which this knows what they do


def pruned(
    table: LayerTable, weights: Weights, epsilon: float = 1e-3
) -> tuple[LayerTable, dict[str, dict[str, Array]]]:
    """The table and the weights of what does something; equal to the given ones in every output.

    Blocks after one that is left out get its number, as a table counts them. Inverted residuals and
    universal bottlenecks alone are looked into, and none that has leaves of a patch's own beside
    its kernels; a table with a neck, whose rows name blocks, stays as it is. Modules outside the
    table are passed on. `epsilon` is of every norm.
    """
    if table.neck:
        return table, {path: dict(leaves) for path, leaves in weights.items()}
    blocks = [_smaller(block, row, weights, epsilon) for block, row in table.named_rows()]
    kept = [block for block in blocks if block is not None]
    smaller = dataclasses.replace(table, stages=(), rows=tuple(row for row, _ in kept))
    if smaller.rows == table.rows:
        return table, {path: dict(leaves) for path, leaves in weights.items()}
    own = {block for block, _ in table.named_rows()}
    found = {
        path: dict(leaves)
        for path, leaves in weights.items()
        if network_of(path) or block_of(path) not in own
    }
    for (new, _), (_, leaves) in zip(smaller.named_rows(), kept, strict=True):
        for path, arrays in leaves.items():
            found[f"{new}{path}"] = dict(arrays)
    return smaller, found


def _smaller(block: str, row: Row, weights: Weights, epsilon: float) -> tuple[Row, Weights] | None:
    """A block that stays, and its weights by their paths after its name; None where it goes."""
    own = {
        path.removeprefix(block): leaves
        for path, leaves in weights.items()
        if block_of(path) == block
    }
    known = all(leaves.keys() <= _PLAIN for leaves in own.values())
    if not isinstance(row, InvertedResidual | UniversalBottleneck) or not known:
        return row, own
    project = norm_of("/project")
    closed = OPEN in own["/project"] and not own["/project"][OPEN][0] > 0
    if row.residual and (closed or _dead(own[project]).all()):
        return None
    channels = _channels(row, own)
    left = dataclasses.replace(row, expanded=len(channels))
    if isinstance(left, InvertedResidual):
        squeezed = 0 if _always_open(left, own) else left.squeezed
        side = _side(left.kernel, own["/depthwise"][KERNEL])
        left = dataclasses.replace(left, kernel=side, squeezed=squeezed)
    else:
        twice = left.stride == 1 and left.activation in PASSES  # activated before, and once more
        start = left.stride == 1 or left.kernel > 0
        left = dataclasses.replace(
            left,
            kernel=_side_if_any("/depthwise", left.kernel, own, epsilon, twice),
            start_kernel=_side_if_any("/start_depthwise", left.start_kernel, own, epsilon, start),
        )
    return left, _taken(own, left, channels)


def _dead(norm: Mapping[str, Array]) -> Array:
    """Which channels of a norm's output are 0 whatever comes in, [C] bool."""
    zeros = [np.asarray(norm[name]) == 0 for name in MODULATION]
    return np.logical_and.reduce(zeros)


def _side_if_any(layer: str, side: int, own: Weights, epsilon: float, may_go: bool) -> int:
    """Of what is left of a layer's kernel; 0 where the layer gives what it is given."""
    if not side:
        return 0
    kernel, norm = np.asarray(own[layer][KERNEL]), own[norm_of(layer)]
    gain = norm[SCALE] / np.sqrt(norm[VARIANCE] + epsilon)
    middle = np.zeros_like(kernel)
    middle[side // 2, side // 2] = 1
    same = np.array_equal(kernel, middle) and not np.any(norm[MEAN]) and not np.any(norm[OFFSET])
    return 0 if may_go and same and np.allclose(gain, 1, atol=1e-4) else _side(side, kernel)


def _channels(row: InvertedResidual | UniversalBottleneck, own: Weights) -> Array:
    """The numbers of the channels inside a block that do something.

    An expansion to none, or of an inverted residual to as many as come in, would be another block,
    without that layer: one more stays then.
    """
    every = np.arange(row.expanded)
    expands = not isinstance(row, InvertedResidual) or row.expands
    if not expands or activate(row.activation, jnp.zeros(())) != 0:
        return every
    dead = _dead(own[norm_of("/depthwise" if row.kernel else "/expand")])
    alive = int((~dead).sum())
    none = (0, row.inputs) if isinstance(row, InvertedResidual) else (0,)
    more = 1 if alive in none and alive < row.expanded else 0
    return np.sort(np.concatenate([every[~dead], every[dead][:more]]))


def _side(side: int, kernel: Array) -> int:
    """Of what is left of a kernel [side, side, 1, C] without rings of zeros; even sides stay."""
    while side > 1 and side % 2 and not _ring(np.asarray(kernel), side).any():
        side -= 2
    return side


def _ring(kernel: Array, side: int) -> Array:
    """Where the middle of `side` x `side` of a kernel is not 0, in its outermost ring."""
    far = np.abs(np.arange(len(kernel)) - len(kernel) // 2)
    return kernel[np.maximum(far[:, None], far[None]) == side // 2] != 0


def _always_open(row: InvertedResidual, own: Weights) -> bool:
    """Whether squeeze-excite multiplies by 1 whatever comes in."""
    if not row.squeezed:
        return False
    gate = own["/squeeze_excite/expand"]
    opened = activate(row.gate, jnp.asarray(gate[BIAS]))
    return not np.any(gate[KERNEL]) and bool(jnp.all(opened == 1))


def _taken(own: Weights, row: InvertedResidual | UniversalBottleneck, channels: Array) -> Weights:
    """The arrays of what is left of a block, `row`, of those inside it that do something."""
    sides = {"/depthwise": row.kernel, "/start_depthwise": 0}
    if isinstance(row, UniversalBottleneck):
        sides["/start_depthwise"] = row.start_kernel
    gone = tuple(layer for layer, side in sides.items() if not side)
    if isinstance(row, InvertedResidual) and not row.squeezed:
        gone += ("/squeeze_excite",)
    found: dict[str, dict[str, Array]] = {}
    for path, leaves in own.items():
        if path.startswith(gone):
            continue
        found[path] = {name: np.asarray(leaf) for name, leaf in leaves.items()}
        if path in ("/project", "/squeeze_excite/reduce"):
            found[path][KERNEL] = found[path][KERNEL][channels]
        elif path.startswith(_INSIDE):
            found[path] = {name: leaf[..., channels] for name, leaf in found[path].items()}
    for layer, side in sides.items():
        if side:
            kernel = found[layer][KERNEL]
            start = (len(kernel) - side) // 2
            inside = slice(start, start + side)
            found[layer][KERNEL] = kernel[inside, inside]
    return found
