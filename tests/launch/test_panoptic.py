"""Segments one by one, from a relaxed run to its answers."""

import json

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.experiment import contact_sheet, evaluation, segmenting
from adapters.experiment import training_run as runs
from adapters.experiment.predictions import PanopticPrediction
from adapters.panoptic_png import numbers_of
from adapters.store.read import read_patch
from tests import narrow
from tests.launch import small
from tests.launch.made_tasks import TWO_LIGHTS


@pytest.fixture(scope="module")
def finished(squares_weights, tmp_path_factory):
    """(file, row) of a run with both relaxations."""
    out = tmp_path_factory.mktemp("runs") / "lights"
    settings = small.settings(
        squares_weights, recipe={"steps": 30, "head_rate": 2e-2}, validations=0
    )
    (row,) = runs.run([TWO_LIGHTS], settings, out, "a test")
    return out / "two_lights.patch", row


def test_segments_are_learned_and_nothing_auxiliary_is_shipped(finished, squares_weights):
    path, row = finished
    assert row.metric == "PQ"
    assert row.test_accuracy > 0.5
    head = read_patch(path).head
    assert head["class/w"].shape == (16, 3)
    assert not [leaf for leaf in head if leaf.startswith("semantic")]
    found = evaluation.evaluate(path, "test", TWO_LIGHTS, str(squares_weights))
    assert found.score == found.saved
    assert set(found.others) == {"SQ", "RQ", "PQ of things", "PQ of surfaces"}


def test_a_prediction_and_its_files_tell_each_segment(finished, squares_weights, tmp_path):
    example = TWO_LIGHTS.source.open(TWO_LIGHTS, "test", None)[0]
    picture = tmp_path / "a.png"
    Image.fromarray(example["image"]).resize((96, 40)).save(picture)
    predictor = adapters.load(finished[0], weights=squares_weights)
    found = predictor.predict([example["image"], str(picture)])
    assert isinstance(found, PanopticPrediction)
    assert found.segments.shape == (2, narrow.SIZE, narrow.SIZE)
    for segments, classes, scores in zip(found.segments, found.classes, found.scores, strict=True):
        assert segments.max() < len(classes) == len(scores)
        assert set(classes) <= {0, 1}
        assert (np.diff(scores) <= 0).all()
    (seen,) = segmenting.segment_files(predictor, [str(picture)], tmp_path / "found")
    assert not seen.fault
    numbers = numbers_of(Image.open(tmp_path / "found" / "0000_a_segments.png"))
    mask = np.asarray(Image.open(tmp_path / "found" / "0000_a_mask.png"))
    (one,) = json.loads((tmp_path / "found" / segmenting.DOCUMENT).read_text())["annotations"]
    assert one["file_name"] == "0000_a_segments.png"
    assert {each["id"] for each in one["segments_info"]} == set(np.unique(numbers)) - {0}
    for each in one["segments_info"]:
        own = numbers == each["id"]
        assert own.sum() == each["area"]
        assert set(mask[own]) == {each["category_id"]}
    ((rows),) = predictor.listed(str(picture))
    assert [row["score"] for row in rows] == [each["score"] for each in one["segments_info"]]
    drawn = np.asarray(Image.open(tmp_path / "found" / "0000_a.png"))
    assert (drawn[:, :-1][numbers[:, :-1] != numbers[:, 1:]] == 255).all()


def test_a_task_of_segments_can_be_looked_at():
    sheet = contact_sheet.contact_sheet(TWO_LIGHTS, None)
    assert sheet.height > sheet.width / 10
