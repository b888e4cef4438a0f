"""A class for every pixel, in one run of two tasks of other widths, up to its answers."""

import dataclasses

import numpy as np
import pytest

import adapters
from adapters.experiment import backbones, contact_sheet, encoding, evaluation, exporting
from adapters.experiment import training_run as runs
from adapters.experiment.settings import SettingError
from adapters.inference import maps
from adapters.runtime.device import Device
from adapters.runtime.graph_file import write_graph
from adapters.serving.network import MixedNetwork
from adapters.store.errors import FingerprintError, MapsNeededError, ShapeMismatchError
from adapters.store.read import read_patch
from adapters.vocabulary import KERNEL
from tests import narrow
from tests.device import exported
from tests.launch import small
from tests.launch.made_tasks import LIGHTS, THREE_LIGHTS


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def with_neck(weights, tmp_path_factory):
    """(folder, rows) of a run that begins with a new neck."""
    out = tmp_path_factory.mktemp("runs") / "neck"
    task = dataclasses.replace(LIGHTS, head="segmentation(low=stride_2, high=neck_01)")
    settings = small.settings(weights, backbone="narrow+lraspp", recipe={"head_rate": 3e-2})
    return out, task, runs.run([task], settings, out, "a test")


@pytest.fixture(scope="module")
def finished(weights, tmp_path_factory):
    """(folder, rows) of one run; the second task has a class that no pixel has."""
    out = tmp_path_factory.mktemp("runs") / "lights"
    settings = small.settings(weights, recipe={"steps": 60, "head_rate": 3e-2})
    return out, runs.run([LIGHTS, THREE_LIGHTS], settings, out, "a test")


def test_pixels_are_learned_and_scored_by_their_overlap(finished):
    out, rows = finished
    assert [row.metric for row in rows] == ["mIoU", "mIoU"]
    assert min(row.test_accuracy for row in rows) > 0.8
    assert {file.name for file in out.glob("*.patch")} == {"lights.patch", "three_lights.patch"}
    shapes = {
        name: {leaf: values.shape for leaf, values in read_patch(out / name).head.items()}
        for name in ("lights.patch", "three_lights.patch")
    }
    assert shapes["lights.patch"] == {"low": (8, 2), "high": (16, 2), "b": (2,)}
    assert shapes["three_lights.patch"] == {"low": (8, 3), "high": (16, 3), "b": (3,)}


def test_what_is_stated_of_a_map_is_checked(finished):
    """512 values are stated whole; a map of other channels is found before it is read."""
    path = finished[0] / "lights.patch"
    contents = read_patch(path)
    assert len(contents.parity.logits) == 16 * 16 * 2
    other = contents.head_settings | {"low": "block_02"}
    wrong = dataclasses.replace(contents, head_settings=other)
    with pytest.raises(ShapeMismatchError, match="8 channels of block_02, the backbone gives 12"):
        maps.check_maps(wrong, narrow.TABLE)


@pytest.mark.parametrize("task", [LIGHTS, THREE_LIGHTS], ids=lambda task: task.name)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_file_evaluates_to_its_saved_score(finished, weights, task, split):
    path = str(finished[0] / f"{task.name}.patch")
    found = evaluation.evaluate(path, split, task, str(weights))
    assert found.score == found.saved
    assert found.others["pixel accuracy"].value > 0.9


def test_a_prediction_tells_the_class_of_each_pixel(finished, weights):
    loaded = adapters.load(finished[0] / "lights.patch", weights=weights)
    example = LIGHTS.source.open(LIGHTS, "test", None)[0]
    found = loaded.predict(example["image"])
    assert found.classes.shape == (1, narrow.SIZE, narrow.SIZE)
    assert found.classes.dtype == np.int32
    lit = (example["classes"] == 1).mean()
    assert found.shares[0, 1] == pytest.approx(lit, abs=0.1)
    assert found.labels[0].startswith("ground ")


def test_a_file_may_be_rounded(finished, weights):
    made = encoding.encoded(str(finished[0] / "lights.patch"), "int8", str(weights), None, LIGHTS)
    assert abs(made.after - made.before) < 0.02


def test_what_gives_heads_the_features_alone_refuses_by_name(finished, weights, tmp_path):
    path = finished[0] / "lights.patch"
    said = "the head segmentation of lights reads stride_2, stride_4 of the network"
    write_graph(tmp_path / "backbone.tflite", exported.graph())
    with pytest.raises(MapsNeededError, match=said):
        Device(tmp_path / "backbone.tflite").install(path)
    loaded = backbones.load("narrow", str(weights))
    with pytest.raises(MapsNeededError, match=said):
        exporting.checked_patch(loaded, str(path))
    network = MixedNetwork(loaded.network, loaded.weights, [narrow.SIZE], 1, batches=(1,))
    with pytest.raises(MapsNeededError, match=said):
        network.check(read_patch(path))


def test_a_new_neck_is_trained_with_the_heads_and_nothing_else_of_the_backbone(with_neck, weights):
    out, _, _ = with_neck
    before = backbones.load("narrow+lraspp", str(weights))
    after = backbones.load("narrow+lraspp", str(out / "backbone.safetensors"))
    assert (bool(before.untrained), bool(after.untrained)) == (True, False)
    assert before.untrained == {path for path in after.weights if path.startswith("neck_01/")}
    for path, leaves in before.weights.items():
        for name, leaf in leaves.items():
            # The norm's scale and offset are the patch's own: the shared ones get no gradient.
            trained = path in before.untrained and name == KERNEL
            assert np.array_equal(leaf, after.weights[path][name]) != trained, (path, name)


def test_a_new_neck_that_no_head_reads_is_refused(weights, tmp_path):
    settings = small.settings(weights, backbone="narrow+lraspp")
    with pytest.raises(SettingError, match=r"read stride_2, stride_4\. Give tasks .* neck_01"):
        runs.Run([LIGHTS], settings, tmp_path / "run")


def test_a_patch_belongs_to_the_backbone_with_its_neck(with_neck, weights):
    out, task, _ = with_neck
    path = out / "lights.patch"
    contents = read_patch(path)
    assert contents.backbone == "narrow+lraspp"
    assert "neck_01/project/norm" in contents.edits["replace"]
    found = evaluation.evaluate(path, "test", task, out / "backbone.safetensors")
    assert found.score == found.saved
    with pytest.raises(FingerprintError):
        evaluation.evaluate(path, "test", task, weights)


def test_a_picture_shows_the_pixels_of_each_class(finished):
    sheet = np.asarray(contact_sheet.contact_sheet(LIGHTS, None)).astype(int)
    step = contact_sheet.CELL + contact_sheet.GAP
    rows = [contact_sheet.LINE + row * step for row in range(2)]
    ground, light = (
        sheet[top : top + contact_sheet.CELL, contact_sheet.LABEL :][:, : contact_sheet.CELL]
        for top in rows
    )
    assert (light.min(axis=-1) > 245).any()
    assert ground.mean() < light.mean()
