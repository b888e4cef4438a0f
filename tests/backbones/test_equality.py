"""Converted networks compute what the code bases they come from compute, at every resolution.

The error is the largest absolute difference over the largest absolute value kept.
"""

import json
import pathlib
from typing import NamedTuple

import jax
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.backbones.conventions import KERAS, KERAS_V1, TORCH, Conventions
from adapters.backbones.convert import convert
from adapters.backbones.output_stride import with_output_stride
from adapters.backbones.registry import table
from tests.backbones import published
from tests.golden import closed_formula
from tests.golden.peers import PEERS
from tests.quick import QUICKEST

GOLDENS = json.loads(pathlib.Path(closed_formula.__file__).with_name("backbones.json").read_text())
LIMIT = 1e-4  # measured: 1e-7 to 4e-5; with a wrong padding or epsilon from 1e-2 up
TORCH_V3 = TORCH._replace(epsilon=1e-3)


class Ours(NamedTuple):
    """The naming, the table and the conventions that a peer is known to follow."""

    naming: str
    table: str
    conventions: Conventions
    output_stride: int = 32
    lag: bool = False


OURS = {
    "keras MobileNet": Ours("Keras", "mobilenet_v1_1.0", KERAS_V1),
    "keras MobileNetV2": Ours("Keras", "mobilenet_v2_1.0", KERAS),
    "keras MobileNetV3Large": Ours("Keras", "mobilenet_v3_large_1.0", KERAS),
    "keras MobileNetV3Small": Ours("Keras", "mobilenet_v3_small_1.0", KERAS),
    "keras MobileNetV3Large, minimalistic=True": Ours(
        "Keras", "mobilenet_v3_large_minimalistic_1.0", KERAS
    ),
    "keras MobileNetV3Small, minimalistic=True": Ours(
        "Keras", "mobilenet_v3_small_minimalistic_1.0", KERAS
    ),
    "torchvision mobilenet_v2": Ours("torchvision", "mobilenet_v2_1.0", TORCH),
    "torchvision mobilenet_v3_large": Ours("torchvision", "mobilenet_v3_large_1.0", TORCH_V3),
    "torchvision mobilenet_v3_large, dilated=True": Ours(
        "torchvision", "mobilenet_v3_large_1.0", TORCH_V3, output_stride=16
    ),
    "torchvision mobilenet_v3_small": Ours("torchvision", "mobilenet_v3_small_1.0", TORCH_V3),
    "torchvision mnasnet1_0": Ours("torchvision", "mnasnet_b1", TORCH),
    "timm mobilenetv2_100": Ours("timm", "mobilenet_v2_1.0", TORCH),
    "timm mobilenetv2_100, output_stride=8": Ours(
        "timm", "mobilenet_v2_1.0", TORCH, output_stride=8, lag=True
    ),
    "timm efficientnet_lite0": Ours("timm", "efficientnet_lite0", TORCH),
    "timm tf_efficientnet_lite0": Ours("timm", "efficientnet_lite0", KERAS),
    "timm mnasnet_100": Ours("timm", "mnasnet_b1", TORCH),
    "timm semnasnet_100": Ours("timm", "mnasnet_a1", TORCH),
    "timm mnasnet_small": Ours("timm", "mnasnet_small", TORCH),
    "timm tf_mobilenetv3_large_075": Ours("timm", "mobilenet_v3_large_0.75", KERAS),
    "timm mobilenetv4_conv_small": Ours("timm", "mobilenet_v4_conv_small", TORCH),
    "timm mobilenetv4_conv_medium": Ours("timm", "mobilenet_v4_conv_medium", TORCH),
    "timm mobilenetv4_conv_large": Ours("timm", "mobilenet_v4_conv_large", TORCH),
    "timm mobilenetv4_hybrid_medium": Ours("timm", "mobilenet_v4_hybrid_medium", TORCH),
    "timm mobilenetv4_hybrid_large": Ours("timm", "mobilenet_v4_hybrid_large", TORCH),
}


def test_every_peer_is_compared():
    assert list(GOLDENS) == list(OURS) == [peer.title for peer in PEERS]


@pytest.mark.parametrize("peer", OURS)
def test_names_and_shapes_are_the_code_bases_own(peer):
    shapes = published.shapes(OURS[peer].naming, OURS[peer].table)
    assert closed_formula.digest(shapes) == GOLDENS[peer]["names"]


@pytest.mark.parametrize("size", [224, 97])
@pytest.mark.parametrize("peer", OURS)
def test_features_and_maps_are_the_code_bases_own(peer, size):
    ours, golden = OURS[peer], GOLDENS[peer]
    rows = table(ours.table)
    tensors = published.tensors(ours.naming, ours.table)
    checkpoint = convert(tensors, rows, ours.conventions, "", "")
    dilated = with_output_stride(rows, ours.output_stride, ours.lag)
    backbone = build(dilated, checkpoint.padding, checkpoint.epsilon)
    outputs = jax.jit(backbone.apply, compiler_options=QUICKEST)(
        checkpoint.weights, closed_formula.image(size)
    )
    errors = {"features": error(outputs.features[::20], golden["features"][str(size)])}
    for block, expected in golden["endpoints"][str(size)].items():
        found = closed_formula.subset(np.asarray(outputs.endpoints[block]))
        errors[block] = error(found, expected)
    assert max(errors.values()) < LIMIT, errors


def error(found, expected):
    expected = np.float32(expected)
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())
