"""Denser maps from the same weights: strides replaced by dilation, arXiv 1706.05587."""

import dataclasses

from adapters.backbones.rows import Row
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError

OUTPUT_STRIDES = (8, 16, 32)


class OutputStrideError(ModelPatchError):
    """An output stride that a table cannot have."""


def with_output_stride(table: LayerTable, stride: int, lag: bool = False) -> LayerTable:
    """The table whose last map is the image's size by `stride`, for the weights of `table`.

    Once the stride is reached, later strides become 1 and their blocks' k x k layers are dilated
    by what they would have shrunk. The strided keys and values of attention stay as they are: they
    are a map of the map.

    Args:
      table: the backbone.
      stride: 8, 16 or 32.
      lag: when the block that loses its stride is dilated itself. False: at once, as
        tensorflow/models and torchvision do. True: only the blocks after it are, as TF-slim does;
        the map then holds exactly the strided network's values wherever that has one (with
        symmetric padding, and without squeeze-excite or attention).

    Raises:
      OutputStrideError: `stride` is none of these, or finer than the table's first row, or
        reached where a strided block keeps its channels.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> [row.dilation for row in with_output_stride(mobilenet_v2(), 16).rows[13:16]]
    [1, 2, 2]
    """
    if stride not in OUTPUT_STRIDES:
        raise OutputStrideError(f"output stride {stride} is none of {OUTPUT_STRIDES}.")
    if table.rows[0].stride > stride:
        raise OutputStrideError(
            f"{table.name} has a stride of {table.rows[0].stride} in its first row alone; ask for "
            f"that or more, not {stride}."
        )
    reached, rate = 1, 1
    rows: list[Row] = []
    for row in table.rows:
        if reached * row.stride <= stride:
            reached *= row.stride
            rows.append(dataclasses.replace(row, dilation=rate))
        else:
            if row.inputs == row.outputs:
                raise OutputStrideError(
                    f"{table.name}: a block of {row.inputs} channels would gain a residual with "
                    f"output stride {stride}; ask for a larger one."
                )
            own = rate if lag else rate * row.stride
            rows.append(dataclasses.replace(row, stride=1, dilation=own))
            rate *= row.stride
    return dataclasses.replace(table, rows=tuple(rows))
