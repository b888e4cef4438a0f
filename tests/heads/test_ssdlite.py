"""SSDLite as a whole, against torchvision's with the same weights, and what it learns by."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.backbones import necks, taps
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.conventions import TORCH
from adapters.backbones.mobilenet_v3 import mobilenet_v3_large
from adapters.backbones.naming.known import NAMINGS
from adapters.backbones.rows import InvertedResidual
from adapters.backbones.table import make_divisible
from adapters.heads.classification import softmax
from adapters.heads.detection.detections import detections
from adapters.heads.fpnlite import fpnlite
from adapters.heads.registry import from_spec
from tests.golden import closed_formula, detection_formula
from tests.quick import QUICKEST

GOLDEN = json.loads(pathlib.Path(closed_formula.__file__).with_name("detection.json").read_text())[
    "ssdlite"
]
EPSILON = 1e-3
HEAD = from_spec("ssdlite")
CLASSES = detection_formula.CLASSES - 1


def reduced_table():
    """MobileNetV3-Large with half the channels from the 13th block on (arXiv 1905.02244, 6.3)."""
    *before, first, second, third, tail, pooled = mobilenet_v3_large().rows
    halved = [
        dataclasses.replace(
            row,
            inputs=row.inputs // 2 if number else row.inputs,
            outputs=row.outputs // 2,
            expanded=row.expanded // 2 if number else row.expanded,
            squeezed=make_divisible(row.expanded / 8) if number else row.squeezed,
        )
        for number, row in enumerate((first, second, third))
        if isinstance(row, InvertedResidual)
    ]
    ends = (
        dataclasses.replace(tail, inputs=tail.inputs // 2, outputs=tail.outputs // 2),
        dataclasses.replace(pooled, inputs=pooled.inputs // 2),
    )
    return dataclasses.replace(mobilenet_v3_large(), rows=(*before, *halved, *ends))


def theirs(name):
    """What a detector of torchvision calls a tensor of its classifier: the 13th block is cut."""
    parts = name.split(".")
    if parts[0] != "features":
        return None
    block, rest = int(parts[1]), parts[2:]
    if block == 13:
        inside = int(rest[1])
        place = ["0", "13"] if not inside else ["1", "0", str(inside)]
        return ".".join(["backbone", "features", *place, *rest[2:]])
    place = ["0", str(block)] if block < 13 else ["1", str(block - 13)]
    return ".".join(["backbone", "features", *place, *rest])


def normed(prefix):
    """A norm's leaves under torchvision's names, all of `channels`."""
    names = {"scale": "weight", "offset": "bias", "mean": "running_mean", "var": "running_var"}
    return {leaf: f"{prefix}.{name}" for leaf, name in names.items()}


def network_weights(table):
    """The closed formula's weights of backbone and neck."""
    naming = next(n for n in NAMINGS if n.name == "torchvision" and table.name.startswith(n.tables))
    shapes = expected_shapes(table)
    found = {path: {} for path in shapes}
    bare = dataclasses.replace(table, neck=())
    for name, (path, leaf, _) in (places := naming.places(bare)).items():
        shape = shapes[path][leaf]
        if theirs(name) is None:
            found[path][leaf] = np.zeros(shape, np.float32)
            continue
        tensor = closed_formula.tensor(theirs(name), naming.shape(places[name], shape))
        found[path][leaf] = naming.array(tensor, shape)
    for number, own in enumerate(table.neck):
        layer, half = divmod(number, 2)
        parts = {"": 0} if not half else {"/depthwise": 1, "/project": 2}
        for part, place in parts.items():
            prefix = f"backbone.extra.{layer}.{place}"
            path = own.name + part
            rows = shapes[path]["w"]
            torch_shape = (rows[-1], 1, 3, 3) if len(rows) == 4 else (rows[1], rows[0], 1, 1)
            kernel = closed_formula.tensor(f"{prefix}.0.weight", torch_shape)
            found[path]["w"] = kernel.transpose(2, 3, 1, 0).reshape(rows)
            for leaf, name in normed(f"{prefix}.1").items():
                shape = shapes[f"{path}/norm"][leaf]
                found.setdefault(f"{path}/norm", {})[leaf] = closed_formula.tensor(name, shape)
    return found


def head_weights(table):
    """The closed formula's predictors, their norms folded."""
    found = {}
    for leaf in HEAD.shapes({name: taps.channels(table, name) for name in HEAD.taps}, CLASSES):
        number, branch, part = leaf.split("/")
        torch = {"classes": "classification_head", "boxes": "regression_head"}[branch]
        prefix = f"head.{torch}.module_list.{int(number) - 1}"
        width = taps.channels(table, HEAD.taps[int(number) - 1])
        values = 1 + CLASSES if branch == "classes" else 4
        norm = {
            name: closed_formula.tensor(own, (width,))
            for name, own in normed(f"{prefix}.0.1").items()
        }
        gain = norm["scale"] / np.sqrt(norm["var"] + np.float32(EPSILON))
        if part == "depthwise":
            kernel = closed_formula.tensor(f"{prefix}.0.0.weight", (width, 1, 3, 3))
            found[leaf] = kernel[:, 0].transpose(1, 2, 0) * gain
        elif part == "offset":
            found[leaf] = norm["offset"] - norm["mean"] * gain
        elif part == "w":
            kernel = closed_formula.tensor(f"{prefix}.1.weight", (6 * values, width, 1, 1))
            found[leaf] = kernel.reshape(6, values, width).transpose(2, 0, 1)
        else:
            found[leaf] = closed_formula.tensor(f"{prefix}.1.bias", (6 * values,)).reshape(6, -1)
    return found


@pytest.fixture(scope="module")
def table():
    return necks.with_neck(reduced_table(), "ssdlite")


@pytest.fixture(scope="module")
def predicted(table):
    """The head's predictions of the golden's image, in NumPy on maps of JAX."""
    backbone = build(table, TORCH.padding, EPSILON)
    outputs = jax.jit(backbone.apply, compiler_options=QUICKEST)(
        network_weights(table), closed_formula.image(detection_formula.SIZE)
    )
    maps = {name: np.asarray(taps.tap(table, outputs, name)) for name in HEAD.taps}
    return HEAD.apply(head_weights(table), maps)


def error(found, expected):
    expected = np.float32(expected)
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def test_it_has_as_many_parameters_as_published(table):
    """Ours lacks the classifier's layer, torchvision's has a scale and an offset of each norm."""
    pooled = sum(int(np.prod(shape)) for shape in expected_shapes(table)["pooled"].values())
    channels = {name: taps.channels(table, name) for name in HEAD.taps}
    shapes = HEAD.shapes(channels, CLASSES)
    predictors = sum(int(np.prod(shape)) for shape in shapes.values())
    scales = 2 * sum(channels.values())
    assert HEAD.channels(shapes) == channels
    assert count_parameters(table) - pooled + predictors + scales == GOLDEN["parameters"]


def test_raw_outputs_are_torchvisions(predicted):
    assert {name: value.shape for name, value in predicted.items()} == {
        "logits": (3234, detection_formula.CLASSES),
        "offsets": (3234, 4),
        "anchors": (3234, 4),
    }
    assert error(predicted["logits"].ravel()[::2999], GOLDEN["logits"]) < 1e-4
    assert error(predicted["offsets"].ravel()[::97], GOLDEN["offsets"]) < 1e-4


def test_final_boxes_are_torchvisions(predicted):
    """As many, and the surest the same; equally sure ones may change places in float32."""
    found = detections(predicted, softmax(predicted["logits"])[:, 1:])
    count = detection_formula.SCORES
    assert len(found.scores) == GOLDEN["answers"]
    np.testing.assert_allclose(found.scores[:count], GOLDEN["scores"], atol=1e-5)
    ours, theirs = (
        np.concatenate([np.reshape(boxes, (-1, 4)), np.c_[labels]], axis=1)
        for boxes, labels in (
            (found.boxes[:count], found.classes[:count] + 1),
            (GOLDEN["boxes"], GOLDEN["labels"]),
        )
    )
    apart = np.abs(ours[:, None] - theirs).max(axis=-1)
    assert apart.min(axis=0).max() < 1e-4
    assert sorted(apart.argmin(axis=0)) == list(range(count))


def test_the_loss_is_torchvisions(predicted):
    count = detection_formula.OBJECTS
    classes = detection_formula.classes("objects", count, CLASSES)[:, None]
    objects = np.full((10, 5), -1, np.float32)
    objects[:count] = np.concatenate([detection_formula.boxes("objects", count), classes], axis=1)
    loss = jax.jit(HEAD.loss, compiler_options=QUICKEST)
    terms = loss(predicted, {"objects": objects}, jnp.ones(CLASSES, bool), 0.0, 0.0)
    assert float(terms["boxes"]) == pytest.approx(GOLDEN["losses"]["bbox_regression"], rel=1e-4)
    assert float(terms["classes"]) == pytest.approx(GOLDEN["losses"]["classification"], rel=1e-4)


def test_narrow_predictors_of_all_sums_are_the_wide_ones():
    """Sums that are the channels themselves change nothing; those of the start keep the size."""
    drawn = np.random.default_rng(8)
    channels = {"stride_16/expand": 6, "stride_32": 6}
    wide, narrow = (from_spec(f"ssdlite(maps=2{width})") for width in ("", ", width=6"))
    maps = {name: drawn.normal(size=(3, 2, 6)).astype(np.float32) for name in channels}
    own = {
        leaf: drawn.normal(size=shape).astype(np.float32)
        for leaf, shape in wide.shapes(channels, 2).items()
    }
    same = own | {f"{number}/sums": np.eye(6, dtype=np.float32) for number in (1, 2)}
    assert {leaf: values.shape for leaf, values in same.items()} == narrow.shapes(channels, 2)
    assert narrow.channels({leaf: values.shape for leaf, values in same.items()}) == channels
    expected = wide.apply(own, maps)
    for name, values in narrow.apply(same, maps).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5)
    shape = {"1/sums": (500, 40)}
    start = narrow.initial(shape)["1/sums"]
    np.testing.assert_array_equal(start, narrow.initial(shape)["1/sums"])
    assert 0.9 < np.linalg.norm(start, axis=0).mean() < 1.1


def test_narrow_predictors_are_a_fraction():
    """Of MobileNetV2's 2,048 channels from stride 8 on, six anchors and one class."""
    channels = {"stride_8/expand": 192, "stride_16/expand": 576, "stride_32": 1280}
    sizes = {}
    for width in ("none", "16"):
        head = from_spec(f"ssdlite(maps=3, finest=8, width={width})")
        sizes[width] = sum(int(np.prod(one)) for one in head.shapes(channels, 1).values())
    biases = 3 * 6 * (2 + 4)
    assert sizes == {
        "none": 2048 * (2 * 10 + 6 * (2 + 4)) + biases,
        "16": 2048 * 16 + 3 * 16 * (2 * 10 + 6 * (2 + 4)) + biases,
    }


def test_a_shorter_tower_is_one_whose_last_layers_change_nothing():
    drawn = np.random.default_rng(9)
    maps = {name: drawn.uniform(0, 5, (2, 2, 4)).astype(np.float32) for name in fpnlite().taps}
    channels = dict.fromkeys(maps, 4)
    for layers in (0, 2):
        short, whole = fpnlite(layers=layers), fpnlite()
        shapes = short.shapes(channels, 2)
        assert short.channels(shapes) == channels
        # Values that ReLU6 leaves as they are.
        own = {
            leaf: drawn.uniform(0, 0.1, shape).astype(np.float32) for leaf, shape in shapes.items()
        }
        longer = whole.initial(whole.shapes(channels, 2)) | own
        expected = whole.apply(longer, maps)
        for name, values in short.apply(own, maps).items():
            np.testing.assert_allclose(values, expected[name], atol=1e-6)
