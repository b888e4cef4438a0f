"""A classifier in the published one's place is left aside; anything among the backbone's is not."""

import numpy as np
import pytest

from adapters.backbones.convert import ConversionError, convert
from adapters.backbones.registry import table
from adapters.fingerprint import fingerprint
from tests.backbones import published

TORCH2, TIMM2 = ("torchvision", "mobilenet_v2_0.35"), ("timm", "mobilenet_v2_0.35")
TORCH3 = ("torchvision", "mobilenet_v3_small_1.0")
KERAS2, SLIM1 = ("Keras", "mobilenet_v2_0.35"), ("TF-slim", "mobilenet_v1_0.25")


def converted(network, others, dtype=np.float32):
    """The network without its own head, and with other tensors."""
    tensors = published.tensors(*network)
    for name in published.naming(*network).head_places():
        del tensors[name]
    added = {name: np.ones(shape, dtype) for name, shape in others.items()}
    return convert(tensors | added, table(network[1]), None, "", "")


OTHERS = [
    (TORCH2, {}),
    (TORCH2, {"classifier.weight": (5, 1280), "classifier.bias": (5,)}),
    (TORCH2, {"classifier.1.weight": (5, 1280)}),  # without a bias
    (TORCH2, {"classifier.1.weight": (5, 640), "classifier.1.bias": (5,)}),
    (TORCH2, {"classifier.1.0.weight": (5, 1280), "classifier.1.0.bias": (5,)}),
    (
        TORCH2,
        {
            "classifier.1.weight": (256, 1280),
            "classifier.1.bias": (256,),
            "classifier.4.weight": (5, 256),
            "classifier.4.bias": (5,),
        },
    ),
    (TORCH2, {"fc.weight": (5, 1280), "fc.bias": (5,)}),
    (TORCH2, {"head.weight": (5, 1280, 1, 1), "aux.norm.running_mean": (1280,)}),
    (TORCH2, {"classifier.1.weight": (1 << 14, 1280), "classifier.1.bias": (1 << 14,)}),
    (TORCH3, {"classifier.3.0.weight": (5, 1024), "classifier.4.bias": (5,)}),
    (TIMM2, {"head.fc.weight": (5, 1280), "head.fc.bias": (5,)}),
    (TIMM2, {"classifier.0.weight": (64, 1280), "classifier.2.weight": (5, 64)}),
    (KERAS2, {"dense/kernel": (1280, 64), "dense_1/kernel": (64, 5), "dense_1/bias": (5,)}),
    (KERAS2, {"batch_normalization/gamma": (1280,), "predictions/kernel": (1280, 5)}),
    (SLIM1, {"MobilenetV1/Logits/Other/weights": (1, 1, 256, 5)}),
    (SLIM1, {"MobilenetV1/Predictions/weights": (1, 1, 256, 5)}),
]


@pytest.mark.parametrize(("network", "others"), OTHERS, ids=lambda value: str(value)[:60])
def test_another_classifier_is_left_aside_and_told(network, others, caplog):
    caplog.set_level("INFO")
    found = converted(network, others)
    assert found.head is None
    assert found.label_offset == 0
    assert fingerprint(found.weights) == fingerprint(converted(network, {}).weights)
    for name in others:
        assert name in caplog.text


def test_a_classifier_of_integers_is_another_one():
    shapes = {"classifier.1.weight": (5, 1280), "classifier.1.bias": (5,)}
    assert converted(TORCH2, shapes).head["b"].shape == (5,)
    assert converted(TORCH2, shapes, np.int8).head is None


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (TORCH2, "features.19.0.weight"),
        (TORCH2, "features.0.0.bias"),
        (TIMM2, "blocks.7.0.conv_pw.weight"),
        (TIMM2, "blocks.1.0.se.conv_reduce.weight"),
        (TIMM2, "conv_head.bias"),
        (TORCH3, "classifier.0.lora_A"),
        (KERAS2, "block_17_expand/kernel"),
        (KERAS2, "Conv1/bias"),
        (SLIM1, "MobilenetV1/Conv2d_14_pointwise/weights"),
    ],
)
def test_what_lies_among_the_backbones_own_is_refused(network, name):
    with pytest.raises(ConversionError, match=f"not expected: {name}"):
        converted(network, {name: (1, 1)})


def test_a_head_that_is_not_finite_is_refused():
    tensors = published.tensors(*TORCH2, classes=3)
    tensors["classifier.1.bias"][1] = np.nan
    with pytest.raises(ConversionError, match=r"classifier\.1\.bias .* not finite"):
        convert(tensors, table(TORCH2[1]), None, "", "")
