"""Layer tables: a backbone as data, one row a block, in the columns of the published tables."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

from adapters.backbones.rows import Convolution, InvertedResidual, Pooled, Row
from adapters.modules import BLOCK, POOLED, STEM, TAIL

Enlarging = Literal["nearest", "bilinear"]


class NeckRow(NamedTuple):
    """A block beside the way from image to features, which heads read.

    Attributes:
      name: of the block and of its map, `neck_01`, say.
      reads: the block whose map it takes: one of the table's, or of the neck's before it; or
        `block_06/depthwise`, say, for what its depthwise layer gives, normed and activated.
      row: the block.
      adds: the block whose map is added to what the row gives, enlarged to its size; "": none is.
      beside: the block whose map lies behind the channels of `reads`, bilinearly enlarged to its
        size, before the row takes both; "": none does.
      enlarging: how `adds` is enlarged: by its `nearest` cells, two times, or `bilinear`.
    """

    name: str
    reads: str
    row: Row
    adds: str = ""
    beside: str = ""
    enlarging: Enlarging = "nearest"


@dataclasses.dataclass(frozen=True)
class LayerTable:
    """A whole backbone, from the image to the pooled features, and perhaps a neck.

    Attributes:
      name: what the registry, a checkpoint and a patch file call it.
      rows: the blocks in order; the first is the stem.
      stages: how many rows each published stage has, from the row after the stem on. Only code
        bases that number stages need it.
      neck: blocks between maps of the backbone and heads, in the order in which they run: shared
        and frozen as the rest is.
    """

    name: str
    rows: tuple[Row, ...]
    stages: tuple[int, ...] = ()
    neck: tuple[NeckRow, ...] = ()

    @property
    def features(self) -> int:
        """Channels of the pooled features that a head reads."""
        return self.rows[-1].outputs

    def named_rows(self) -> tuple[tuple[str, Row], ...]:
        """Module names beside rows: `stem`, `block_01`, ..., `tail`, `pooled`.

        The tail is the convolution before pooling (MobileNetV1 has none), `pooled` what comes after
        it (V3 and V4 have one).
        """
        names = [STEM, *(f"{BLOCK}_{i:02d}" for i in range(1, len(self.rows)))]
        last = len(self.rows) - 1
        if isinstance(self.rows[last], Pooled):
            names[last] = POOLED
            last -= 1
        if isinstance(self.rows[last], Convolution):
            names[last] = TAIL
        return tuple(zip(names, self.rows, strict=True))

    def all_rows(self) -> tuple[tuple[str, Row], ...]:
        """`named_rows`, and those of the neck."""
        return (*self.named_rows(), *((own.name, own.row) for own in self.neck))


def make_divisible(value: float, divisor: int = 8) -> int:
    """Rounds channels to a multiple of `divisor`, never below 90 % of `value`.

    The rule every MobileNet since V2 shares (tensorflow/models, slim/nets/mobilenet).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class Stage(NamedTuple):
    """A run of inverted residuals: the first takes the stride and the change of channels.

    Attributes:
      squeeze: inner channels of squeeze-excite by the block's input channels; 0: none. Its gate is
        a sigmoid (MnasNet; MobileNetV3 counts and gates otherwise).
    """

    expansion: int
    outputs: int
    repeats: int
    stride: int
    kernel: int = 3
    squeeze: float = 0.0


def inverted_residuals(
    inputs: int, stages: Sequence[Stage], activation: str
) -> tuple[InvertedResidual, ...]:
    """One row a block for `stages` that start from `inputs` channels."""
    rows = []
    for stage in stages:
        for repeat in range(stage.repeats):
            rows.append(
                InvertedResidual(
                    inputs=inputs,
                    outputs=stage.outputs,
                    kernel=stage.kernel,
                    expanded=inputs * stage.expansion,
                    stride=stage.stride if repeat == 0 else 1,
                    activation=activation,
                    squeezed=max(1, int(inputs * stage.squeeze)) if stage.squeeze else 0,
                    gate="sigmoid",
                )
            )
            inputs = stage.outputs
    return tuple(rows)


def tailed(
    name: str,
    stem: int,
    stages: Sequence[Stage],
    tail: int,
    activation: str,
) -> LayerTable:
    """A 3x3 stem of stride 2, `stages` of inverted residuals, and a 1x1 tail of `tail` channels."""
    blocks = inverted_residuals(stem, stages, activation)
    return LayerTable(
        name,
        (
            Convolution(inputs=3, outputs=stem, kernel=3, stride=2, activation=activation),
            *blocks,
            Convolution(inputs=blocks[-1].outputs, outputs=tail, activation=activation),
        ),
        stages=tuple(stage.repeats for stage in stages),
    )
