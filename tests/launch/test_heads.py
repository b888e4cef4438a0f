"""Heads of several kinds in one run, and a patch that reads a place, up to their answers."""

import csv
import dataclasses
import importlib.util
import json

import numpy as np
import pytest
import safetensors

import adapters
from adapters.benchmarking.serving import patches
from adapters.experiment import (
    backbones,
    contact_sheet,
    descriptions,
    encoding,
    evaluation,
    exporting,
    exporting_onnx,
    previewing,
    scoring,
    serving,
)
from adapters.experiment import training_run as runs
from adapters.experiment.predictions import NumberPrediction, Prediction
from adapters.experiment.predictor import PredictionInputError
from adapters.export.onnx.session import Session
from adapters.heads.contract import Values
from adapters.heads.registry import OtherHeadError, head_of
from adapters.inference.compiled import inference, predictions
from adapters.inference.first_look import first_look
from adapters.runtime import input_file, signatures
from adapters.runtime.device import Device
from adapters.runtime.engine import Engine
from adapters.runtime.graph_file import write_graph
from adapters.serving.network import Example
from adapters.store.edits import apply_edits
from adapters.store.errors import LooksFirstError
from adapters.store.read import read_patch
from tests import narrow
from tests.device import exported
from tests.launch import small
from tests.launch.made_tasks import BRIGHTNESS, COLOURS, HEMISPHERE
from tests.serving import loopback

CONDITIONAL = "scale_bias+conditional(norms=2, hidden=8)"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def finished(weights, tmp_path_factory):
    """(folder, rows) of a run of a multilabel task and a regression task, in turns."""
    out = tmp_path_factory.mktemp("runs") / "heads"
    settings = small.settings(weights, recipe={"steps": 150, "head_rate": 3e-2})
    return out, runs.run([COLOURS, BRIGHTNESS], settings, out, "a test")


@pytest.fixture(scope="module")
def placed(weights, tmp_path_factory):
    """(folder, rows) of a run whose classes only the place tells."""
    out = tmp_path_factory.mktemp("runs") / "placed"
    settings = small.settings(
        weights, patch=CONDITIONAL, recipe={"steps": 100, "head_rate": 3e-2, "patch_rate": 3e-2}
    )
    return out, runs.run([HEMISPHERE], settings, out, "a test")


def test_each_kind_learns_and_is_scored_by_its_own_figure(finished):
    out, rows = finished
    assert [row.metric for row in rows] == ["mean average precision", "R^2"]
    assert rows[0].test_accuracy > 0.9
    assert rows[1].test_accuracy > 0.5
    table = (out / "table.txt").read_text()
    assert "brightness (R^2)" in table
    assert "brightness: test mean absolute error" in table
    assert "levels" in table
    with open(out / "results.csv") as file:
        found = {(r["task"], r["split"], r["metric"]): r for r in csv.DictReader(file)}
    error = found["brightness", "test", "mean absolute error"]
    assert error["unit"] == "levels"
    assert 0 < float(error["value"]) < 60
    assert float(found["colours", "test", "F1"]["value"]) > 0.7
    lines = (out / "metrics.jsonl").read_text()
    assert "validation/R^2/brightness" in lines


def test_a_picture_shows_a_label_from_its_most_to_its_least():
    sheet = np.asarray(contact_sheet.contact_sheet(COLOURS, None))
    step = contact_sheet.CELL + contact_sheet.GAP
    for row in range(3):
        middle = contact_sheet.LINE + row * step + contact_sheet.CELL // 2
        band = sheet[middle - 4 : middle + 4, contact_sheet.LABEL :, row].astype(float)
        shades = [band[:, n * step : n * step + contact_sheet.CELL].mean() for n in range(8)]
        assert max(shades[4:]) < 100 < min(shades[:4])


def test_who_takes_classifiers_alone_refuses_others_by_name(finished, weights, tmp_path):
    path = str(finished[0] / "colours.patch")
    opened = evaluation.open_patch(path, "validation", COLOURS, str(weights))
    said = "the patch for colours predicts multilabel; stopping early takes classifiers alone"
    with pytest.raises(OtherHeadError, match=said):
        previewing.Preview(opened, None)
    said = "colours predicts multilabel; the benchmark of serving takes classifiers alone"
    with pytest.raises(OtherHeadError, match=said):
        patches.read([path], str(weights))


def test_encoding_is_told_by_the_head_s_own_score(finished, weights):
    path = str(finished[0] / "brightness.patch")
    one = encoding.encoded(path, "int8", str(weights), None, BRIGHTNESS)
    found = {row.metric: row.value for row in encoding.rows(one, 0, "typed")}
    assert found["validation R^2"] == one.after
    assert found["validation R^2 lost to encoding"] == one.before - one.after


def test_inputs_for_a_graph_say_how_logits_become_an_answer(finished, weights, tmp_path):
    """The rule of docs/export.md, by hand, gives the answer that the patch has."""
    loaded = backbones.load("narrow", str(weights))
    for name in ("colours", "brightness"):
        contents, path = read_patch(finished[0] / f"{name}.patch"), tmp_path / name
        text = exporting_onnx.graph_inputs(
            loaded, str(finished[0] / f"{name}.patch"), signatures.NORMS, path
        )
        assert f"a head of {len(contents.labels)} outputs" in text
        with safetensors.safe_open(path, "numpy") as opened:
            told = json.loads(opened.metadata()[input_file.KEY])["head"]
        assert told["kind"] == contents.head_kind
        settings, logits = told["settings"], np.array([0.5, -1.0, 2.0][: len(contents.labels)])
        answer = head_of(contents).decode(contents.labels, {"logits": logits})
        if name == "colours":
            held = 1 / (1 + np.exp(-logits)) >= settings["thresholds"]
            labels = {label for label, one in zip(contents.labels, held, strict=True) if one}
            assert set(answer.label.split(" + ")) == (labels or {"none"})
        else:
            values = logits * settings["deviation"] + settings["mean"]
            assert list(answer.values.values()) == pytest.approx(values)
            assert answer.unit == settings["unit"]


def test_a_card_in_words_keeps_its_columns(finished):
    for name in ("colours", "brightness"):
        card = read_patch(finished[0] / f"{name}.patch")
        _, *lines = descriptions.describe_patch(card).splitlines()
        wide = 2 + max(14, len(card.metric)) + 1
        assert all(line[wide - 1] == " " and line[wide] != " " for line in lines)


def test_a_task_with_the_labels_but_another_head_is_refused(finished, weights):
    path = str(finished[0] / "colours.patch")
    other = dataclasses.replace(COLOURS, head="classification")
    said = "was trained with the head multilabel, task colours has classification"
    with pytest.raises(evaluation.LabelsDifferError, match=said):
        evaluation.open_patch(path, "validation", other, str(weights))


def test_thresholds_and_moments_are_in_the_file(finished):
    out, _ = finished
    colours, brightness = (read_patch(out / f"{name}.patch") for name in ("colours", "brightness"))
    assert len(colours.head_settings["thresholds"]) == 3
    values = np.array([one["values"] for one in BRIGHTNESS.source.open(BRIGHTNESS, "train", None)])
    np.testing.assert_allclose(brightness.head_settings["mean"], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(brightness.head_settings["deviation"], values.std(0), rtol=1e-5)


@pytest.mark.parametrize("task", [COLOURS, BRIGHTNESS, HEMISPHERE], ids=lambda task: task.name)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_patch_evaluates_to_its_saved_score(finished, placed, weights, task, split):
    out = (placed if task is HEMISPHERE else finished)[0]
    opened = evaluation.open_patch(str(out / f"{task.name}.patch"), split, task, str(weights))
    contents = opened.contents
    answers = scoring.predict(
        *(opened.network, apply_edits(opened.backbone.weights, contents.edits), contents.head),
        *(head_of(contents), task, split, opened.preprocessing, None, contents.inputs),
    )
    found = scoring.score(head_of(contents), len(task.labels), answers)
    assert found == contents.scores[split]


@pytest.mark.parametrize("name", ["colours", "brightness"])
def test_a_device_answers_in_labels_or_in_units(finished, tmp_path, name):
    """On the shared LiteRT graph, and beside JAX."""
    out, _ = finished
    path = tmp_path / "backbone.tflite"
    exported_graph(path)
    device = Device(path)
    device.install(out / f"{name}.patch")
    contents = read_patch(out / f"{name}.patch")
    (answer,) = device.run_all(name, [exported.png(1)])
    logits = exported.logits_of(contents, exported.png(1))
    wanted = head_of(contents).decode(contents.labels, {"logits": logits})
    if isinstance(answer, Values):
        assert answer.values == pytest.approx(wanted.values, rel=1e-3)
        assert answer.unit == "levels"
    else:
        assert answer.label == wanted.label
        assert answer.probabilities == pytest.approx(wanted.probabilities, abs=1e-3)


def exported_graph(path):
    write_graph(path, exported.graph())


def test_a_place_is_learned_where_it_decides(placed):
    _, (row,) = placed
    assert row.test_accuracy > 0.8
    assert row.validation_accuracy > 0.8


def test_a_file_says_what_it_reads(placed):
    out, _ = placed
    contents = read_patch(out / "hemisphere.patch")
    assert contents.inputs == {"place": (3,)}
    assert set(contents.edits) == {"module", "replace"}
    assert contents.edits["module"]["conditional/place/hidden"]["w"].shape == (3, 8)
    # Spelled out, so that a file's meaning does not move with our defaults.
    assert contents.patch == "scale_bias+conditional(reads=place, size=3, hidden=8, norms=2)"


def test_a_task_without_the_input_is_refused_before_anything_is_written(weights, tmp_path):
    settings = small.settings(weights, patch=CONDITIONAL)
    with pytest.raises(evaluation.InputsMissingError, match=r"place \[3\].*colours: none"):
        runs.run([COLOURS], settings, tmp_path / "out", "a test")
    assert not (tmp_path / "out").exists()


def test_a_shared_graph_refuses_it_by_name(placed, tmp_path):
    out, _ = placed
    exported_graph(tmp_path / "backbone.tflite")
    with pytest.raises(LooksFirstError, match="reads place beside the image"):
        Device(tmp_path / "backbone.tflite").install(out / "hemisphere.patch")


def jax_logits(contents, weights, images, places):
    network = inference(narrow.BACKBONE, len(images), narrow.SIZE, first_look(contents))
    patched = apply_edits(backbones.load("narrow", str(weights)).weights, contents.edits)
    inputs = {"image": images, "place": places}
    return predictions(network, patched, contents.head, inputs)["logits"]


@pytest.fixture
def questions():
    generator = np.random.default_rng(3)
    images = generator.standard_normal((3, narrow.SIZE, narrow.SIZE, 3), np.float32)
    return images, generator.standard_normal((3, 3), np.float32)


def test_a_graph_of_its_own_takes_the_place_in_litert(placed, weights, tmp_path, questions):
    out, _ = placed
    images, places = questions
    loaded = backbones.load("narrow", str(weights))
    comparison, path = exporting.Comparison([], 1e-4), tmp_path / "own.tflite"
    exporting.task_graph(loaded, str(out / "hemisphere.patch"), (3,), comparison, path)
    engine = Engine(path.read_bytes(), threads=1)
    inputs = {signatures.IMAGES: images, "place": places}
    found = engine.run(signatures.task_signature(3), inputs, signatures.LOGITS)
    wanted = jax_logits(read_patch(out / "hemisphere.patch"), weights, images, places)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()
    elsewhere = engine.run(
        signatures.task_signature(3), {**inputs, "place": -places}, signatures.LOGITS
    )
    assert np.abs(elsewhere - wanted).max() > 0.1 * np.abs(wanted).max()


def test_the_same_in_onnx(placed, weights, tmp_path, questions):
    if not importlib.util.find_spec("onnxruntime") or not importlib.util.find_spec("onnx"):
        pytest.skip("not installed: onnx; `launch/test` installs what is missing")
    out, _ = placed
    images, places = questions
    loaded = backbones.load("narrow", str(weights))
    comparison, path = exporting.Comparison([], 1e-4), tmp_path / "own.onnx"
    exporting_onnx.task_graph(loaded, str(out / "hemisphere.patch"), comparison, path)
    session = Session(path.read_bytes(), 1)
    found = session.run({signatures.IMAGES: images, "place": places})
    wanted = jax_logits(read_patch(out / "hemisphere.patch"), weights, images, places)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_a_server_mixes_tasks_that_read_a_place_with_others_that_do_not(
    placed, finished, weights, questions
):
    wanted = serving.Wanted("narrow", str(weights), [], 4, (1, 4), "norms")
    others = [finished[0] / f"{name}.patch" for name in ("colours", "brightness")]
    files = [placed[0] / "hemisphere.patch", *others]
    network, _ = serving.from_files([str(path) for path in files], wanted)
    network.compile()
    images, places = questions
    plain = exported.logits_of_image(read_patch(files[1]), images[1])
    examples = [
        Example(network.task("hemisphere"), images[0], {"place": places[0]}),
        Example(network.task("colours"), images[1]),
        Example(network.task("hemisphere"), images[2], {"place": places[2]}),
    ]
    found = [answer["logits"] for answer in network.predictions(examples)]
    own = jax_logits(read_patch(files[0]), weights, images, places)
    np.testing.assert_allclose(found[0], own[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[2], own[2], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[1], plain, rtol=1e-3, atol=1e-4)
    with loopback.served(network) as (address, _):
        body = exported.png(1)
        status, said = loopback.ask(address, "POST", "/tasks/hemisphere?place=0,0,1", body)
        assert status == 200
        assert said["answers"][0]["label"] == "northern"
        _, south = loopback.ask(address, "POST", "/tasks/hemisphere?place=0,0,-1", body)
        assert south["answers"][0]["label"] == "southern"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        for place, label in (("0,0,1", "northern"), ("0,0,-1", "southern")):
            form = (
                b'--b\r\nContent-Disposition: form-data; name="image"; filename="1"\r\n\r\n'
                + body
                + f'\r\n--b\r\nContent-Disposition: form-data; name="place"\r\n\r\n{place}'.encode()
                + b"\r\n--b--\r\n"
            )
            status, said = loopback.ask(address, "POST", "/tasks/hemisphere", form, kind)
            assert (status, said["answers"][0]["label"]) == (200, label)
        both = loopback.ask(address, "POST", "/tasks/hemisphere?place=0,0,1", form, kind)
        assert (both[0], both[1]["error"]) == (422, "InputsError")
        for query in (
            "",
            "?place=1,2",
            "?place=0,0,1&place=0,0,1",
            "?place=a,b,c",
            "?place=1,2,nan",
            "?place=1,2,1e39",
            "?spot=1,2,3",
        ):
            status, said = loopback.ask(address, "POST", f"/tasks/hemisphere{query}", body)
            assert (status, said["error"]) == (422, "InputsError")
            assert "place" in said["message"]
        status, said = loopback.ask(address, "POST", "/tasks/brightness", body)
        assert status == 200
        assert {answer["unit"] for answer in said["answers"]} == {"levels"}
        _, said = loopback.ask(address, "GET", "/tasks")
        assert {each["task"]: each["inputs"] for each in said["tasks"]} == {
            "hemisphere": {"place": [3]},
            "colours": {},
            "brightness": {},
        }


def test_a_predictor_answers_for_every_head(finished, weights):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    colours = adapters.load(finished[0] / "colours.patch", weights=weights)
    assert repr(colours) == "<Predictor of colours: 3 outputs, scale_bias>"
    said = colours.predict(pixels)
    assert isinstance(said, Prediction)
    assert said.probabilities.shape == (3, 3)
    for label, shares in zip(said.labels, said.probabilities, strict=True):
        holds = shares >= np.array(colours.card.head_settings["thresholds"])
        held = {name for name, one in zip(colours.labels, holds, strict=True) if one}
        assert set(label.split(" + ")) == (held or {"none"})
    told = adapters.load(finished[0] / "brightness.patch", weights=weights).predict(pixels)
    assert isinstance(told, NumberPrediction)
    np.testing.assert_allclose(told.values[:, 0], pixels.mean((1, 2, 3)), atol=40)
    mean, deviation = told.values[0]
    assert told.labels[0] == f"mean {mean:.4g} levels, deviation {deviation:.4g} levels"


def test_a_predictor_reads_a_place_beside_each_image(placed, weights):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3), np.uint8)
    hemisphere = adapters.load(placed[0] / "hemisphere.patch", weights=weights)
    said = hemisphere.predict(pixels, {"place": [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]})
    assert said.labels == ("northern", "southern")
    for inputs in (None, {"place": [[0.0, 0.0, 1.0]]}, {"spot": np.zeros((2, 3))}):
        with pytest.raises(PredictionInputError, match=r"reads .*place.*\(2, 3\)"):
            hemisphere.predict(pixels, inputs)
    for number in (float("nan"), 1e39):
        with pytest.raises(PredictionInputError, match="place must be finite numbers"):
            hemisphere.predict(pixels, {"place": [[0.0, 0.0, number], [0.0, 0.0, 1.0]]})
