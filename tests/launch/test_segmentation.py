"""A class for every pixel, in one run of two tasks of other widths, up to its answers."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.experiment import (
    backbones,
    contact_sheet,
    encoding,
    evaluation,
    fitting,
    segmenting,
    serving,
    task_heads,
)
from adapters.experiment import training_run as runs
from adapters.experiment.settings import SettingError
from adapters.indexed_png import COLOURS, indexed_png
from adapters.inference import maps
from adapters.runtime.device import Device
from adapters.runtime.feeds import UnsupportedPatchError
from adapters.runtime.graph_file import write_graph
from adapters.serving.network import MixedNetwork, UnservedPatchError
from adapters.store.errors import FingerprintError, ShapeMismatchError
from adapters.store.read import read_patch
from adapters.vocabulary import KERNEL
from tests import narrow
from tests.device import exported
from tests.launch import graphs, small
from tests.launch.made_tasks import LIGHTS, THREE_LIGHTS
from tests.serving.loopback import ask, served

WITH_NECK = "narrow+stride_16+lraspp"
HEAD = "segmentation(low=stride_2, high=neck_01)"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def with_neck(weights, tmp_path_factory):
    """(folder, task) of a run that begins with a new neck, which the task has to be told of."""
    out = tmp_path_factory.mktemp("runs") / "neck"
    settings = small.settings(weights, backbone=WITH_NECK, recipe={"head_rate": 3e-2})
    values = dataclasses.asdict(settings)
    fitting.fit(LIGHTS, directory=out, **values.pop("recipe"), **(values | {"head": HEAD}))
    return out, dataclasses.replace(LIGHTS, head=HEAD)


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


def test_every_graph_answers_as_jax_does(finished, weights, tmp_path):
    graphs.check_every_graph(finished[0] / "lights.patch", LIGHTS, weights, tmp_path)


def test_a_file_may_be_rounded(finished, weights):
    made = encoding.encoded(str(finished[0] / "lights.patch"), "int8", str(weights), None, LIGHTS)
    assert abs(made.after - made.before) < 0.02


def test_what_gives_heads_the_features_alone_refuses_by_name(finished, weights, tmp_path):
    path = finished[0] / "lights.patch"
    write_graph(tmp_path / "backbone.tflite", exported.graph())
    said = r"lights has the head segmentation\(low=stride_2, high=stride_4\), which this graph does"
    with pytest.raises(UnsupportedPatchError, match=said):
        Device(tmp_path / "backbone.tflite").install(path)
    loaded = backbones.load("narrow", str(weights))
    network = MixedNetwork(loaded.network, loaded.weights, [narrow.SIZE], 1, batches=(1,))
    said = "of lights reads stride_2, stride_4 of the network; this server computes features"
    with pytest.raises(UnservedPatchError, match=said):
        network.check(read_patch(path))


def test_a_mask_is_of_the_picture_and_an_answer_lists_its_runs(finished, weights):
    loaded = adapters.load(finished[0] / "lights.patch", weights=weights)
    example = LIGHTS.source.open(LIGHTS, "test", None)[0]
    mask = loaded.mask(example["image"])
    assert mask.shape == example["image"].shape[:2]
    real = example["classes"] >= 0
    assert (mask == example["classes"])[real].mean() > 0.9
    ((rows),) = loaded.listed(example["image"])
    counts = {row["label"]: row["segmentation"]["counts"] for row in rows}
    assert sum(counts["light"][1::2]) == (mask == 1).sum()
    file = Image.open(io.BytesIO(indexed_png(mask, 2)))
    np.testing.assert_array_equal(np.asarray(file), np.where(mask < 0, 255, mask))
    assert file.mode == "P"


def test_a_server_answers_an_indexed_png_of_the_picture(finished, weights):
    """Beside a second segmenter of other width, over HTTP."""
    paths = [str(finished[0] / f"{name}.patch") for name in ("lights", "three_lights")]
    wanted = serving.Wanted(None, str(weights), None, 2, (1, 2), "norms")
    network, installer = serving.from_files(paths, wanted)
    image = LIGHTS.source.open(LIGHTS, "test", None)[0]["image"]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    with served(network, installer=installer) as (address, _):
        png = {"Accept": "image/png"}
        status, data = ask(address, "POST", "/tasks/lights", file.getvalue(), png)
        assert status == 200
        drawn = np.asarray(Image.open(io.BytesIO(data)))
        _, said = ask(address, "POST", "/tasks/three_lights", file.getvalue())
    mask = adapters.load(paths[0], weights=weights).mask(image)
    assert (drawn == np.where(mask < 0, 255, mask)).mean() > 0.99
    assert len(said["answers"]) == 3
    assert said["answers"][0]["segmentation"]["size"] == list(image.shape[:2])


def test_pictures_of_each_mask_are_written(finished, weights, tmp_path):
    example = LIGHTS.source.open(LIGHTS, "test", None)[0]
    Image.fromarray(example["image"]).resize((96, 40)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    predictor = adapters.load(finished[0] / "lights.patch", weights=weights)
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    seen, odd = segmenting.segment_files(predictor, paths, tmp_path / "found")
    assert (bool(seen.fault), bool(odd.fault)) == (False, True)
    assert str(seen).startswith(f"{paths[0]}: ground ")
    mask = np.asarray(Image.open(tmp_path / "found" / "0000_a_mask.png"))
    np.testing.assert_array_equal(mask, predictor.mask(paths[0]))
    drawn = np.asarray(Image.open(tmp_path / "found" / "0000_a.png")).astype(int)
    assert drawn.shape == (40, 96, 3)
    plain = np.asarray(Image.open(paths[0])).astype(int)
    np.testing.assert_allclose(drawn, (plain + np.array(COLOURS)[mask]) / 2, atol=1)
    assert json.loads((tmp_path / "found" / segmenting.DOCUMENT).read_text()) == {
        "labels": ["ground", "light"],
        "nowhere": 255,
    }


def test_a_new_neck_is_trained_with_the_heads_and_nothing_else_of_the_backbone(with_neck, weights):
    out, _ = with_neck
    before = backbones.load(WITH_NECK, str(weights))
    after = backbones.load(WITH_NECK, str(out / "backbone.safetensors"))
    assert (bool(before.untrained), bool(after.untrained)) == (True, False)
    assert before.untrained == {path for path in after.weights if path.startswith("neck_01/")}
    for path, leaves in before.weights.items():
        for name, leaf in leaves.items():
            # The norm's scale and offset are the patch's own: the shared ones get no gradient.
            trained = path in before.untrained and name == KERNEL
            assert np.array_equal(leaf, after.weights[path][name]) != trained, (path, name)


def test_an_output_stride_is_no_other_weights(weights):
    denser = backbones.load("narrow+stride_16", str(weights))
    assert denser.network.table.name == "narrow+stride_16"
    assert not denser.untrained
    assert denser.fingerprint == backbones.load("narrow", str(weights)).fingerprint


def test_a_head_is_for_tasks_of_its_kind_alone():
    other = dataclasses.replace(LIGHTS, name="other", head="classification")
    first, second = task_heads.with_head([LIGHTS, other], HEAD)
    assert (first.head, second) == (HEAD, other)
    with pytest.raises(SettingError, match="are of another kind: classification"):
        task_heads.with_head([other], HEAD)
    assert task_heads.with_head([other], None) == (other,)


def test_a_new_neck_that_no_head_reads_is_refused(weights, tmp_path):
    settings = small.settings(weights, backbone="narrow+lraspp")
    with pytest.raises(SettingError, match=r"read stride_2, stride_4\. Give tasks .* neck_01"):
        runs.Run([LIGHTS], settings, tmp_path / "run")


def test_a_patch_belongs_to_the_backbone_with_its_neck(with_neck, weights):
    out, task = with_neck
    path = out / "lights.patch"
    contents = read_patch(path)
    assert contents.backbone == WITH_NECK
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
