"""TF-slim's names give what Keras's, which are proven in numbers, give for the same values."""

import re

import numpy as np
import pytest

from adapters.backbones.conventions import KERAS
from adapters.backbones.convert import ConversionError, convert
from adapters.backbones.naming.slim import NAMINGS
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


# Of SSDLite's extra layers on 1280 channels: as TensorFlow's detectors name and shape them.
EXTRAS = {
    "neck_01": ("1_Conv2d_2_1x1_256/weights", (1, 1, 1280, 256)),
    "neck_02/depthwise": ("2_Conv2d_2_3x3_s2_512_depthwise/depthwise_weights", (3, 3, 256, 1)),
    "neck_02/project": ("2_Conv2d_2_3x3_s2_512/weights", (1, 1, 256, 512)),
    "neck_03": ("1_Conv2d_3_1x1_128/weights", (1, 1, 512, 128)),
    "neck_04/depthwise": ("2_Conv2d_3_3x3_s2_256_depthwise/depthwise_weights", (3, 3, 128, 1)),
    "neck_04/project": ("2_Conv2d_3_3x3_s2_256/weights", (1, 1, 128, 256)),
    "neck_05": ("1_Conv2d_4_1x1_128/weights", (1, 1, 256, 128)),
    "neck_06/depthwise": ("2_Conv2d_4_3x3_s2_256_depthwise/depthwise_weights", (3, 3, 128, 1)),
    "neck_06/project": ("2_Conv2d_4_3x3_s2_256/weights", (1, 1, 128, 256)),
    "neck_07": ("1_Conv2d_5_1x1_64/weights", (1, 1, 256, 64)),
    "neck_08/depthwise": ("2_Conv2d_5_3x3_s2_128_depthwise/depthwise_weights", (3, 3, 64, 1)),
    "neck_08/project": ("2_Conv2d_5_3x3_s2_128/weights", (1, 1, 64, 128)),
}


def detector(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A network's tensors as TensorFlow's detectors have them, SSDLite's extra layers among them.

    Every value of an extra layer is its place among them.
    """
    scope = "FeatureExtractor/MobilenetV2/layer_19_"
    found = {f"FeatureExtractor/{name}": array for name, array in layers.items()}
    for number, (name, shape) in enumerate(EXTRAS.values()):
        found[scope + name] = np.full(shape, number, np.float32)
        norm = name.rpartition("/")[0] + "/BatchNorm"
        for leaf in ("gamma", "beta", "moving_mean", "moving_variance"):
            channels = shape[2] if shape[3] == 1 else shape[3]
            found[f"{scope}{norm}/{leaf}"] = np.full(channels, number, np.float32)
    return found


def test_a_detector_s_extra_layers_are_the_neck_ssdlite():
    bare, whole = table("mobilenet_v2_0.35"), table("mobilenet_v2_0.35+ssdlite")
    slim = slim_tensors(published.tensors("Keras", bare.name), "v2")
    del slim["MobilenetV2/Logits/Conv2d_1c_1x1/weights"]
    del slim["MobilenetV2/Logits/Conv2d_1c_1x1/biases"]
    found = convert(detector(slim), whole, None, "", "").weights
    assert {path for path in found if path.startswith("neck")} == {
        own for path in EXTRAS for own in (path, f"{path}/norm")
    }
    for number, (path, (_, shape)) in enumerate(EXTRAS.items()):
        expected = (3, 3, 1, shape[2]) if shape[3] == 1 else shape[2:]
        np.testing.assert_array_equal(found[path]["w"], np.full(expected, number))
        assert {float(leaf.mean()) for leaf in found[f"{path}/norm"].values()} == {number}
    without = {path: own for path, own in found.items() if not path.startswith("neck")}
    assert fingerprint(without) == fingerprint(convert(slim, bare, None, "", "").weights)


def test_a_detector_s_whole_convolutions_are_the_neck_ssd():
    whole = table("mobilenet_v2_0.35+ssd")
    scope = "MobilenetV2/layer_19_"
    named = next(one for one in NAMINGS if one.tables == "mobilenet_v2").places(whole)
    kernels = {place.path: name for name, place in named.items() if place.kind == "depthwise"}
    assert not [path for path in kernels if path.startswith("neck")]
    extras = {
        place.path: name.removeprefix(scope)
        for name, place in named.items()
        if place.path.startswith("neck") and place.leaf == "w"
    }
    assert extras == {
        "neck_01": "1_Conv2d_2_1x1_256/weights",
        "neck_02": "2_Conv2d_2_3x3_s2_512/weights",
        "neck_03": "1_Conv2d_3_1x1_128/weights",
        "neck_04": "2_Conv2d_3_3x3_s2_256/weights",
        "neck_05": "1_Conv2d_4_1x1_128/weights",
        "neck_06": "2_Conv2d_4_3x3_s2_256/weights",
        "neck_07": "1_Conv2d_5_1x1_64/weights",
        "neck_08": "2_Conv2d_5_3x3_s2_128/weights",
    }


@pytest.mark.parametrize("neck", ["ssdlite", "fpn"])
def test_a_neck_that_a_code_base_does_not_have_is_not_left_empty(neck):
    whole = table(f"mobilenet_v2_0.35+{neck}")
    with pytest.raises(ConversionError, match="named like none of the code bases"):
        convert(published.tensors("Keras", "mobilenet_v2_0.35"), whole, None, "", "")
