"""LR-ASPP and DeepLabv3 as wholes, against torchvision's with the same weights."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest

from adapters.backbones import forms, necks, registry, taps
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.conventions import TORCH
from adapters.backbones.naming.known import NAMINGS
from adapters.heads.registry import from_spec
from adapters.resizing import resized
from tests.golden import closed_formula
from tests.golden.make_segmentation_goldens import CLASSES, SIZES, STEP, distance, noise
from tests.quick import QUICKEST

GOLDEN = json.loads(
    pathlib.Path(closed_formula.__file__).with_name("segmentation.json").read_text()
)
BACKBONE = "mobilenet_v3_large_1.0"
EPSILON, NECK_EPSILON = 1e-3, 1e-5  # torchvision's heads have PyTorch's own
# Modules of each neck, and what torchvision calls their kernels and norms.
CALLED = {
    "lraspp": {
        "neck_01/project": ("cbr.0", "cbr.1"),
        "neck_01/gate": ("scale.1", None),
    },
    "deeplab_atrous": {
        "neck_01/point": ("0.convs.0.0", "0.convs.0.1"),
        "neck_01/rate_12": ("0.convs.1.0", "0.convs.1.1"),
        "neck_01/rate_24": ("0.convs.2.0", "0.convs.2.1"),
        "neck_01/rate_36": ("0.convs.3.0", "0.convs.3.1"),
        "neck_01/mean": ("0.convs.4.1", "0.convs.4.2"),
        "neck_01/project": ("0.project.0", "0.project.1"),
        "neck_02": ("1", "2"),
    },
}
HEADS = {
    "lraspp": "segmentation(low=block_04, high=neck_01)",
    "deeplab_atrous": "segmentation(low=none, high=neck_02)",
}
PREDICTORS = {
    "lraspp": {"low": "low_classifier", "high": "high_classifier"},
    "deeplab_atrous": {"high": "4"},
}
NORM = {"scale": "weight", "offset": "bias", "mean": "running_mean", "var": "running_var"}


def kernel(name, shape):
    """[in, out] or [k, k, in, out], of PyTorch's [out, in, k, k]."""
    *sides, inputs, outputs = shape
    theirs = closed_formula.tensor(f"{name}.weight", (outputs, inputs, *(sides or (1, 1))))
    return theirs.transpose(2, 3, 1, 0).reshape(shape)


def network_weights(table, neck):
    """The closed formula's; the epsilon of a neck's norms lies in their variances."""
    naming = next(n for n in NAMINGS if n.name == "torchvision" and BACKBONE.startswith(n.tables))
    shapes = expected_shapes(table)
    found = {path: {} for path in shapes}
    for name, place in naming.places(dataclasses.replace(table, neck=())).items():
        path, leaf, _ = place
        shape = shapes[path][leaf]
        own = name.replace("features.", "backbone.")
        theirs = closed_formula.tensor(own, naming.shape(place, shape))
        found[path][leaf] = naming.array(theirs, shape)
    for path, (layer, norm) in CALLED[neck].items():
        found[path]["w"] = kernel(f"classifier.{layer}", shapes[path]["w"])
        for leaf, name in NORM.items() if norm else ():
            own = f"classifier.{norm}.{name}"
            more = NECK_EPSILON - EPSILON if leaf == "var" else 0
            shape = shapes[f"{path}/norm"][leaf]
            found[f"{path}/norm"][leaf] = np.float32(closed_formula.tensor(own, shape) + more)
    return found


def head_weights(table, neck):
    """The closed formula's predictors; ours has one bias for all maps."""
    head = from_spec(HEADS[neck])
    shapes = head.shapes({name: taps.channels(table, name) for name in head.taps}, CLASSES)
    names = {leaf: f"classifier.{name}" for leaf, name in PREDICTORS[neck].items()}
    found = {leaf: kernel(name, shapes[leaf]) for leaf, name in names.items()}
    assert {*shapes} == {*found, "b"}
    biases = [closed_formula.tensor(f"{name}.bias", (CLASSES,)) for name in names.values()]
    return found | {"b": np.sum(biases, axis=0)}


@pytest.mark.parametrize("neck", CALLED)
def test_they_have_as_many_parameters_as_published(neck):
    """Without torchvision's auxiliary head, which training alone has: 3,851 of its 11,029,328."""
    table, head = registry.table(f"{BACKBONE}+{neck}"), from_spec(HEADS[neck])
    shapes = head.shapes({name: taps.channels(table, name) for name in head.taps}, CLASSES)
    predictors = sum(int(np.prod(shape)) for shape in shapes.values())
    predictors += CLASSES * (len(head.taps) - 1)  # a bias for each map
    pooled = sum(int(np.prod(shape)) for shape in expected_shapes(table)["pooled"].values())
    found = count_parameters(table) - pooled + predictors
    assert found == {"lraspp": 3_221_538, "deeplab_atrous": 11_029_328 - 3_851}[neck]
    assert found == GOLDEN[f"{neck}, output stride 16"]["parameters"]


@pytest.mark.parametrize(("stride", "size"), [(16, 224), (32, 97)])
def test_scores_are_torchvisions(stride, size):
    """Of both, on one backbone: their necks run side by side."""
    backbone = forms.with_forms(registry.table(BACKBONE), f"stride_{stride}")
    ours = {neck: necks.with_neck(backbone, neck) for neck in CALLED}
    renamed = {"neck_01": "neck_11", "neck_02": "neck_12"}
    beside = tuple(
        own._replace(name=renamed[own.name], reads=renamed.get(own.reads, own.reads))
        for own in ours["deeplab_atrous"].neck
    )
    both = dataclasses.replace(backbone, neck=(*ours["lraspp"].neck, *beside))
    weights = network_weights(ours["lraspp"], "lraspp")
    for path, leaves in network_weights(ours["deeplab_atrous"], "deeplab_atrous").items():
        if path.startswith("neck"):
            weights[path.replace("neck_0", "neck_1")] = leaves
    network = build(both, TORCH.padding, EPSILON)
    with jax.enable_x64(True):  # in float32 torchvision's own are 9e-5 from those in float64
        doubled = jax.tree.map(np.float64, (weights, closed_formula.image(size)))
        endpoints = jax.jit(network.apply, compiler_options=QUICKEST)(*doubled).endpoints
    for neck, table in ours.items():
        head = from_spec(HEADS[neck])
        maps = {
            name: np.asarray(endpoints[renamed[name] if neck != "lraspp" else name])
            for name in head.taps
        }
        scores = resized(head.apply(head_weights(table, neck), maps)["logits"], size, size)
        expected = np.float32(GOLDEN[f"{neck}, output stride {stride}"]["scores"][str(size)])
        error = np.abs(scores.ravel()[::STEP] - expected).max() / np.abs(expected).max()
        assert error < 1e-6, (neck, error)


def test_rounding_moves_scores_no_further_than_torchvisions_own():
    """Of LR-ASPP in float32, from what float64 gives, in the mean over images.

    With these weights the gate's inputs are in the thousands, and the last three blocks enlarge
    what was rounded before them: torchvision's own scores by two libraries are as far apart. The
    map that is read beside the gate is as near as float32 can say.
    """
    size = min(SIZES)
    table = necks.with_neck(forms.with_forms(registry.table(BACKBONE), "stride_16"), "lraspp")
    network, head = build(table, TORCH.padding, EPSILON), from_spec(HEADS["lraspp"])
    weights, predictors = network_weights(table, "lraspp"), head_weights(table, "lraspp")

    def run(dtype):
        compiled = jax.jit(network.apply, compiler_options=QUICKEST)
        own = jax.tree.map(dtype, weights)
        found = [compiled(own, dtype(image)).endpoints for image in noise(size)]
        maps = {name: np.stack([np.asarray(each[name]) for each in found]) for name in head.taps}
        return maps, resized(head.apply(predictors, maps)["logits"], size, size)

    with jax.enable_x64(True):
        exact, wanted = run(np.float64)
    rounded, scores = run(np.float32)
    assert distance(rounded["block_04"], exact["block_04"]) < 1e-6
    assert distance(scores, wanted) < 1.5 * max(GOLDEN["lraspp, rounding"].values())
