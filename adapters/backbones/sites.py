"""The sites of a layer table: every module that owns weights, in the order in which they run."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping

from adapters.backbones.parts import Part
from adapters.backbones.table import LayerTable
from adapters.modules import NORM_NAME, Kind
from adapters.vocabulary import BIAS, GAIN, KERNEL, NORM

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Site:
    """One module of a backbone: a convolution, a matrix, a norm or a layer scale.

    Attributes:
      path: of the module, as weights and patches spell it.
      kind: of `adapters.modules`.
      block: name of the row that it belongs to.
      index: its place in the running order, from 0 on.
      inputs, outputs: channels.
      kernel: side of its kernel, in pixels.
      stride: its own.
      leaves: the shape of each of its weights.
      skippable: whether its block may be skipped: whether the row's input is added to its output.
      takes_open: whether the leaf `open`, which skips the block, stands here: beside the last
        kernel of a block that may be skipped.
    """

    path: str
    kind: Kind
    block: str
    index: int
    inputs: int
    outputs: int
    kernel: int
    stride: int
    leaves: Mapping[str, Shape]
    skippable: bool
    takes_open: bool


@functools.cache
def sites(table: LayerTable) -> tuple[Site, ...]:
    """Every site of `table`, told by its rows: nothing is built or traced.

    The network that looks first in a patch of `basisnet` has a table of its own, and so sites of
    its own; their paths in the weights have `preview/` before them. Leaves that patches or whole
    runs have added (bases, adapters) are no sites.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> stem, norm, *_ = sites(mobilenet_v2())
    >>> stem.path, stem.kind, stem.leaves, norm.path
    ('stem', 'convolution', {'w': (3, 3, 3, 32)}, 'stem/norm')
    """
    found: list[Site] = []
    for block, row in table.all_rows():
        parts = [*_with_norms(row.parts)]
        last = max(index for index, part in enumerate(parts) if KERNEL in _leaves(part))
        found += [
            Site(
                path=f"{block}/{part.name}" if part.name else block,
                kind=part.kind,
                block=block,
                index=len(found) + index,
                inputs=part.inputs,
                outputs=part.outputs,
                kernel=part.kernel,
                stride=part.stride,
                leaves=_leaves(part),
                skippable=row.residual,
                takes_open=row.residual and index == last,
            )
            for index, part in enumerate(parts)
        ]
    return tuple(found)


def _with_norms(parts: Iterable[Part]) -> Iterator[Part]:
    """Each part, and the norm that follows it, if one does."""
    for part in parts:
        yield part
        if part.normed:
            path = f"{part.name}/{NORM_NAME}".lstrip("/")
            yield Part(path, "norm", part.outputs, part.outputs, normed=False)


def _leaves(part: Part) -> dict[str, Shape]:
    side, inputs, outputs = part.kernel, part.inputs, part.outputs
    match part.kind:
        case "convolution":
            return {KERNEL: (side, side, inputs, outputs)}
        case "depthwise":
            return {KERNEL: (side, side, 1, outputs)}
        case "pointwise":
            return {KERNEL: (inputs, outputs)}
        case "dense":
            return {KERNEL: (inputs, outputs), BIAS: (outputs,)}
        case "norm":
            return dict.fromkeys(NORM, (outputs,))
        case "layer_scale":
            return {GAIN: (outputs,)}
    raise TypeError(f"no leaves are known for a part of the kind {part.kind}")
