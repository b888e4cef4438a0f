"""TensorFlow's predictors, as our head `ssdlite` has them."""

import numpy as np
import pytest

from adapters.backbones import taps
from adapters.backbones.conversion_error import ConversionError
from adapters.backbones.registry import table
from adapters.backbones.tensorflow.predictors import apart, predictors
from adapters.heads.classification import softmax
from adapters.heads.registry import from_spec

EPSILON = 1e-3
TABLE = table("mobilenet_v2_0.35+ssdlite")
HEAD = from_spec("ssdlite(anchors=tensorflow)")
CHANNELS = [taps.channels(TABLE, name) for name in HEAD.taps]
ANCHORS = (3, 6, 6, 6, 6, 6)


@pytest.fixture(scope="module")
def tensors():
    drawn = np.random.default_rng(3)
    found = {}
    for number, (width, anchors) in enumerate(zip(CHANNELS, ANCHORS, strict=True)):
        for branch, values in (("ClassPredictor", 2), ("BoxEncodingPredictor", 4)):
            scope = f"BoxPredictor_{number}/{branch}"
            shapes = {
                "_depthwise/depthwise_weights": (3, 3, width, 1),
                "/weights": (1, 1, width, anchors * values),
                "/biases": (anchors * values,),
            }
            norm = ("gamma", "beta", "moving_mean", "moving_variance")
            shapes |= {f"_depthwise/BatchNorm/{leaf}": (width,) for leaf in norm}
            for leaf, shape in shapes.items():
                found[scope + leaf] = drawn.uniform(0.1, 1.0, shape).astype(np.float32)
    return found


def as_tensorflow(tensors, scope, image):
    """`BoxPredictor_N/BRANCH` on one map [h, w, C]: [h * w, anchors * values]."""
    depthwise = f"{scope}_depthwise"
    kernel = tensors[f"{depthwise}/depthwise_weights"][..., 0]
    gamma, beta, mean, variance = (
        tensors[f"{depthwise}/BatchNorm/{leaf}"]
        for leaf in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    around = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(0, 1))
    y = np.einsum("hwcij,ijc->hwc", windows, kernel)
    y = np.clip(gamma * (y - mean) / np.sqrt(variance + EPSILON) + beta, 0, 6)
    y = y @ tensors[f"{scope}/weights"][0, 0] + tensors[f"{scope}/biases"]
    return y.reshape(-1, y.shape[-1])


def test_scores_and_offsets_are_those_of_tensorflow(tensors):
    drawn = np.random.default_rng(4)
    maps = [drawn.normal(size=(3, 2, width)).astype(np.float32) for width in CHANNELS]
    found = HEAD.apply(
        predictors(tensors, TABLE, EPSILON, 1), dict(zip(HEAD.taps, maps, strict=True))
    )
    logits, offsets = (
        np.concatenate(
            [
                as_tensorflow(tensors, f"BoxPredictor_{number}/{branch}", own).reshape(-1, values)
                for number, own in enumerate(maps)
            ]
        )
        for branch, values in (("ClassPredictor", 2), ("BoxEncodingPredictor", 4))
    )
    sigmoid = 1 / (1 + np.exp(-logits[:, 1]))
    np.testing.assert_allclose(softmax(found["logits"])[:, 1], sigmoid, atol=1e-6)
    y, x, height, width = offsets.T
    expected = np.stack([x, y, width, height], axis=-1)
    np.testing.assert_allclose(found["offsets"], expected, rtol=1e-4, atol=1e-4)


def test_those_of_ssd_are_a_1x1_and_tell_a_sigmoid_of_each_of_several_classes():
    drawn = np.random.default_rng(5)
    found = {}
    for number, (width, anchors) in enumerate(zip(CHANNELS, ANCHORS, strict=True)):
        for branch, values in (("ClassPredictor", 4), ("BoxEncodingPredictor", 4)):
            scope = f"BoxPredictor_{number}/{branch}"
            found[f"{scope}/weights"] = drawn.normal(size=(1, 1, width, anchors * values))
            found[f"{scope}/biases"] = drawn.normal(size=anchors * values)
    found = {name: values.astype(np.float32) for name, values in found.items()}
    maps = [drawn.uniform(0, 6, (1, 2, width)).astype(np.float32) for width in CHANNELS]
    head = from_spec("ssdlite(anchors=tensorflow, scores=sigmoid)")
    said = head.apply(predictors(found, TABLE, EPSILON, 3), dict(zip(head.taps, maps, strict=True)))
    for name, branch in (("logits", "ClassPredictor"), ("offsets", "BoxEncodingPredictor")):
        theirs = np.concatenate(
            [
                (own @ found[f"{scope}/weights"][0, 0] + found[f"{scope}/biases"]).reshape(-1, 4)
                for number, own in enumerate(maps)
                for scope in [f"BoxPredictor_{number}/{branch}"]
            ]
        )
        columns = theirs[:, 1:] if name == "logits" else theirs[:, [1, 0, 3, 2]]
        np.testing.assert_allclose(said[name], columns, rtol=1e-4, atol=1e-4)


def test_they_stand_apart_from_the_network(tensors):
    others = {"FeatureExtractor/Conv/weights": np.zeros(1, np.float32)}
    assert apart({**tensors, **others}) == (others, tensors)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"BoxPredictor_5/ClassPredictor/biases": None}, "missing, or of another shape: BoxP"),
        ({"BoxPredictor_0/ClassPredictor/biases": np.zeros(9, np.float32)}, "has 9 values, which"),
        ({"BoxPredictor_0/ClassPredictor/biases": np.float32(1)}, "has 1 values, which"),
        ({"BoxPredictor_0/ClassPredictor/biases": np.zeros(0, np.float32)}, "has 0 values, which"),
    ],
)
def test_others_are_refused(tensors, fault, said):
    wrong = {name: own for name, own in (tensors | fault).items() if own is not None}
    with pytest.raises(ConversionError, match=said):
        predictors(wrong, TABLE, EPSILON, 1)
