"""TF-slim's names give what Keras's, which are proven in numbers, give for the same values."""

import re

import numpy as np
import pytest

from adapters.backbones.conventions import KERAS
from adapters.backbones.convert import ConversionError, convert
from adapters.backbones.registry import table
from adapters.fingerprint import fingerprint
from tests.backbones import published

# Variables, the head's included. A convolution with its norm has five; MobileNetV3 large has 46
# such, eight squeeze-excites of four, and two layers with a bias.
COUNTS = {
    "mobilenet_v1_1.0": 27 * 5 + 2,
    "mobilenet_v2_1.0": 52 * 5 + 2,
    "mobilenet_v3_large_1.0": 46 * 5 + 8 * 4 + 2 * 2,
    "mobilenet_v3_small_1.0": 34 * 5 + 9 * 4 + 2 * 2,
    "mobilenet_v3_large_minimalistic_1.0": 46 * 5 + 2 * 2,
    "mobilenet_v3_small_minimalistic_1.0": 34 * 5 + 2 * 2,
}
SMALLEST = ("mobilenet_v1_0.25", "mobilenet_v2_0.35", "mobilenet_v3_large_0.75")
LAYERS = {
    "v1": {
        "conv1": "Conv2d_0",
        r"conv_dw_(\d+)": r"Conv2d_\1_depthwise",
        r"conv_pw_(\d+)": r"Conv2d_\1_pointwise",
        "conv_preds": "Logits/Conv2d_1c_1x1",
    },
    "v2": {
        "Conv1": "Conv",
        "Conv_1": "Conv_1",
        r"expanded_conv_([a-z]+)": r"expanded_conv/\1",
        r"block_(\d+)_([a-z]+)": r"expanded_conv_\1/\2",
        "predictions": "Logits/Conv2d_1c_1x1",
    },
    "v3": {
        r"conv(_\d)?": r"Conv\1",
        r"(expanded_conv(?:_\d+)?)_squeeze_excite_conv(_1)?": r"\1/squeeze_excite/Conv\2",
        r"(expanded_conv(?:_\d+)?)_([a-z]+)": r"\1/\2",
        "logits": "Logits/Conv2d_1c_1x1",
    },
}


def renamed(name: str, version: str) -> str:
    """Keras's name of a tensor as TF-slim would have it."""
    layer, leaf = name.split("/")
    norm = "/BatchNorm" if re.search(r"^bn_|_bn$|_BN$", layer) else ""
    layer = re.sub(r"^bn_|_bn$|_BN$", "", layer)
    theirs = next(theirs for theirs in LAYERS[version] if re.fullmatch(theirs, layer))
    place = re.sub(f"^{theirs}$", LAYERS[version][theirs], layer)
    leaf = {"kernel": "weights", "bias": "biases"}.get(leaf, leaf)
    if leaf == "weights" and place.endswith("depthwise"):
        leaf = "depthwise_weights"
    return f"Mobilenet{version.upper()}/{place}{norm}/{leaf}"


def slim_tensors(keras: dict[str, np.ndarray], version: str) -> dict[str, np.ndarray]:
    """Keras's tensors under TF-slim's names, with a column for "background" before the head's."""
    tensors = {renamed(name, version): array for name, array in keras.items()}
    head = f"Mobilenet{version.upper()}/Logits/Conv2d_1c_1x1"
    kernel, bias = tensors[f"{head}/weights"], tensors[f"{head}/biases"]
    kernel = kernel.reshape(1, 1, -1, bias.size)
    tensors[f"{head}/weights"] = np.concatenate([np.full_like(kernel[..., :1], 9), kernel], -1)
    tensors[f"{head}/biases"] = np.concatenate([np.float32([9]), bias])
    return tensors


@pytest.mark.parametrize("table_name", [*COUNTS, *SMALLEST])
def test_the_same_values_give_the_same_checkpoint_as_from_keras(table_name):
    keras = published.tensors("Keras", table_name)
    slim = slim_tensors(keras, table_name.split("_")[1])
    expected, found = (convert(t, table(table_name), None, "", "") for t in (keras, slim))
    assert fingerprint(found.weights) == fingerprint(expected.weights)
    assert fingerprint({"head": found.head}) == fingerprint({"head": expected.head})
    assert (expected.label_offset, found.label_offset) == (0, 1)
    assert (found.padding, found.epsilon, found.mean, found.std) == KERAS
    assert len(slim) == COUNTS.get(table_name, len(slim))


@pytest.mark.parametrize("classes", [1000, 1002, 3])
def test_only_heads_of_1001_classes_have_a_background(classes):
    tensors = published.tensors("TF-slim", "mobilenet_v1_0.25", classes)
    checkpoint = convert(tensors, table("mobilenet_v1_0.25"), None, "", "")
    assert checkpoint.label_offset == 0
    assert checkpoint.head["w"].shape == (256, classes)


def test_other_code_bases_have_no_background():
    tensors = published.tensors("Keras", "mobilenet_v1_0.25", 1001)
    checkpoint = convert(tensors, table("mobilenet_v1_0.25"), None, "", "")
    assert checkpoint.label_offset == 0
    assert checkpoint.head["b"].shape == (1001,)


def test_what_lies_outside_the_network_is_left_aside_and_told(caplog):
    caplog.set_level("INFO")
    tensors = published.tensors("TF-slim", "mobilenet_v1_0.25")
    tensors["final_training_ops/weights/final_weights"] = np.zeros((1000, 2), np.float32)
    convert(tensors, table("mobilenet_v1_0.25"), None, "", "")
    assert "left aside: final_training_ops/weights/final_weights" in caplog.text


def test_within_the_network_nothing_is_left_aside():
    tensors = published.tensors("TF-slim", "mobilenet_v1_0.25")
    tensors["MobilenetV1/Conv2d_0/weights_quant/min"] = np.float32(0)
    with pytest.raises(ConversionError, match="not expected: MobilenetV1/Conv2d_0/weights_quant"):
        convert(tensors, table("mobilenet_v1_0.25"), None, "", "")
