"""One narrow table a family, with each kind of block that the family has."""

from adapters.backbones.rows import (
    Attention,
    Convolution,
    FusedBottleneck,
    InvertedResidual,
    Pooled,
    Row,
    Separable,
    SpaceToDepth,
    UniversalBottleneck,
)
from adapters.backbones.table import LayerTable
from tests import narrow


def _stem(activation: str) -> Convolution:
    return Convolution(inputs=3, outputs=8, kernel=3, stride=2, activation=activation)


def _inverted(inputs: int, outputs: int, stride: int, **columns: object) -> InvertedResidual:
    columns = {"kernel": 3, "expanded": 2 * inputs, **columns}
    return InvertedResidual(inputs=inputs, outputs=outputs, stride=stride, **columns)


def _universal(inputs: int, outputs: int, stride: int, **columns: object) -> UniversalBottleneck:
    columns = {"expanded": 2 * inputs, "activation": "relu", **columns}
    return UniversalBottleneck(inputs=inputs, outputs=outputs, stride=stride, **columns)


def _ended(*rows: Row, activation: str, bias: bool) -> tuple[Row, ...]:
    return (
        *rows,
        Convolution(inputs=rows[-1].outputs, outputs=16, activation=activation),
        Pooled(inputs=16, outputs=12, activation=activation, bias=bias),
    )


FAMILIES: dict[str, LayerTable] = {
    "mobilenet_v1": LayerTable(
        "narrow_v1",
        (
            _stem("relu6"),
            Separable(inputs=8, outputs=8, kernel=3, activation="relu6"),
            Separable(inputs=8, outputs=12, kernel=3, stride=2, activation="relu6"),
        ),
    ),
    "mobilenet_v2": narrow.TABLE,
    "mobilenet_v3": LayerTable(
        "narrow_v3",
        _ended(
            _stem("hard_swish"),
            _inverted(8, 8, 1, expanded=8, activation="relu"),
            _inverted(8, 12, 2, kernel=5, squeezed=8, activation="relu"),
            _inverted(12, 12, 1, squeezed=8, activation="hard_swish"),
            activation="hard_swish",
            bias=True,
        ),
    ),
    "mobilenet_v4 convolutional": LayerTable(
        "narrow_v4_conv",
        _ended(
            _stem("relu"),
            Convolution(inputs=8, outputs=8, activation="relu"),
            FusedBottleneck(
                inputs=8, outputs=8, kernel=3, expanded=16, stride=2, activation="relu"
            ),
            _universal(8, 12, 2, start_kernel=3, kernel=5),
            _universal(12, 12, 1, start_kernel=0, kernel=3),
            _universal(12, 12, 1, start_kernel=5, kernel=0),
            _universal(12, 12, 1, start_kernel=0, kernel=0),
            activation="relu",
            bias=False,
        ),
    ),
    "mobilenet_v4 hybrid": LayerTable(
        "narrow_v4_hybrid",
        _ended(
            _stem("gelu"),
            _universal(8, 12, 2, start_kernel=3, kernel=3, layer_scale=True, activation="gelu"),
            Attention(inputs=12, outputs=12, kernel=0, heads=2, size=4, key_stride=2),
            Attention(inputs=12, outputs=12, kernel=0, heads=2, size=4),
            activation="gelu",
            bias=False,
        ),
    ),
    "mnasnet": LayerTable(
        "narrow_mnasnet",
        (
            _stem("relu"),
            _inverted(8, 8, 1, expanded=8, activation="relu"),
            _inverted(8, 12, 2, kernel=5, squeezed=2, gate="sigmoid", activation="relu"),
            Convolution(inputs=12, outputs=16, activation="relu"),
        ),
    ),
    "multi": LayerTable(
        "narrow_multi",
        _ended(
            _stem("relu"),
            _inverted(8, 12, 2, kernel=5, activation="relu"),
            _inverted(12, 12, 1, activation="relu"),
            activation="relu",
            bias=True,
        ),
    ),
    "isometric": LayerTable(
        "narrow_isometric",
        _ended(
            SpaceToDepth(
                inputs=3, outputs=8, stride=4, block=4, resolution=6, activation="hard_swish"
            ),
            _inverted(8, 8, 1, kernel=5, squeezed=4, activation="hard_swish"),
            activation="hard_swish",
            bias=True,
        ),
    ),
}
