"""Layer tables: a backbone as data, one row a block, in the columns of the published tables."""

import dataclasses
from typing import Literal, NamedTuple

Operation = Literal["convolution", "separable", "inverted_residual"]


class Row(NamedTuple):
    """One block. Every convolution in it is followed by a norm; projections are linear.

    Operations:
      convolution: kernel x kernel convolution, norm, activation.
      separable: depthwise, norm, activation, [squeeze-excite], 1x1 projection, norm.
      inverted_residual: 1x1 expansion, norm, activation, then as `separable`.
    """

    operation: Operation
    inputs: int
    kernel: int
    expanded: int
    outputs: int
    activation: str
    stride: int
    squeezed: int = 0  # inner channels of squeeze-excite; 0: none

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output (stride 1, equal channels)."""
        blocks = ("separable", "inverted_residual")
        return self.operation in blocks and self.stride == 1 and self.inputs == self.outputs


@dataclasses.dataclass(frozen=True)
class LayerTable:
    """A whole backbone, from the image to the pooled features.

    Attributes:
      name: what the registry, a checkpoint and a patch file call it.
      rows: the blocks in order; the first is the stem, the last the tail before pooling.
    """

    name: str
    rows: tuple[Row, ...]

    @property
    def features(self) -> int:
        """Channels of the pooled features that a head reads."""
        return self.rows[-1].outputs

    def named_rows(self) -> tuple[tuple[str, Row], ...]:
        """Module names beside rows: `stem`, `block_01`, ..., `tail`."""
        last = len(self.rows) - 1
        names = ("stem", *(f"block_{i:02d}" for i in range(1, last)), "tail")
        return tuple(zip(names, self.rows, strict=True))


def make_divisible(value: float, divisor: int = 8) -> int:
    """Rounds channels to a multiple of `divisor`, never below 90 % of `value`.

    The rule every MobileNet since V2 shares (tensorflow/models, slim/nets/mobilenet).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class Stage(NamedTuple):
    """A run of inverted residuals: the first takes the stride and the change of channels."""

    expansion: int
    outputs: int
    repeats: int
    stride: int
    kernel: int = 3


def inverted_residuals(inputs: int, stages: tuple[Stage, ...], activation: str) -> tuple[Row, ...]:
    """One row a block for `stages` that start from `inputs` channels."""
    rows = []
    for stage in stages:
        for repeat in range(stage.repeats):
            rows.append(
                Row(
                    operation="inverted_residual" if stage.expansion > 1 else "separable",
                    inputs=inputs,
                    kernel=stage.kernel,
                    expanded=inputs * stage.expansion,
                    outputs=stage.outputs,
                    activation=activation,
                    stride=stage.stride if repeat == 0 else 1,
                )
            )
            inputs = stage.outputs
    return tuple(rows)
