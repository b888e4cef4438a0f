"""A detector that is asked for a part of its objects, in one run, up to its answers."""

import json

import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.errors import UnknownNameError
from adapters.experiment import descriptions, detecting, evaluation, serving, text_encoder
from adapters.experiment import training_run as runs
from adapters.experiment.predictor import PredictionInputError
from adapters.experiment.query_comparison import NoQueryError, compare_queries
from adapters.experiment.settings import SettingError
from adapters.serving.errors import InputsError
from adapters.serving.inputs import read_inputs
from adapters.store.read import read_patch
from tasks import queries
from tests.launch import small
from tests.launch.made_tasks import SQUARES

ASKED = queries.queried(SQUARES)
PATCH = "query_modulation(embeddings=text)"


@pytest.fixture(scope="module")
def weights(squares_weights):
    return squares_weights


class Encoder:
    """Texts of no meaning but one: "bright" is nearly "lit"."""

    def embedded(self, texts):
        return np.stack([self._one(text) for text in texts])

    def _one(self, text):
        if text == "bright":
            near = 0.95 * self._one("lit") + 0.05 * self._one("anything")
            return near / np.linalg.norm(near)
        drawn = np.random.default_rng(list(text.encode())).normal(size=text_encoder.WIDTH)
        return drawn / np.linalg.norm(drawn)


@pytest.fixture(scope="module")
def finished(weights, tmp_path_factory):
    """(folder, rows) of a run, which may be asked for what training does not say."""
    out = tmp_path_factory.mktemp("runs") / "asked"
    recipe = {"steps": 60, "head_rate": 3e-2, "patch_rate": 3e-2}
    settings = small.settings(
        weights, patch=PATCH, phrases="bright, lit", recipe=recipe, validations=0
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_encoder, "encoder", Encoder)
        return out, runs.run([ASKED], settings, out, "a test")


@pytest.fixture(scope="module")
def path(finished):
    return finished[0] / "squares_by_query.patch"


@pytest.fixture(scope="module")
def loaded(path, weights):
    return adapters.load(path, weights=weights)


@pytest.fixture(scope="module")
def examples():
    return SQUARES.source.open(SQUARES, "test", None)[1:]


def test_a_file_says_what_can_be_asked(path):
    contents = read_patch(path)
    assert contents.inputs == {"query": (16,)}
    assert contents.words["query"] == {**ASKED.words["query"], "bright": (7,)}
    assert contents.edits["module"]["query_modulation/query/hidden"]["w"].shape == (16, 16)
    said = descriptions.describe_patch(contents)
    assert "left lit" in said


def test_a_text_means_its_numbers_and_none_the_empty_one(loaded, examples):
    images = [example["image"] for example in examples[:3]]
    query = np.zeros((3, 16), np.float32)
    query[:, 2] = 1  # after the empty query and "lit"
    asked = loaded.predict(images, {"query": "dark"})
    for same in ({"query": ["dark"] * 3}, {"query": query}):
        for one, other in zip(asked.scores, loaded.predict(images, same).scores, strict=True):
            np.testing.assert_array_equal(one, other)
    silent = loaded.predict(images).scores
    for one, other in zip(silent, loaded.predict(images, {"query": ""}).scores, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(
        len(a) != len(b) or (a != b).any() for a, b in zip(silent, asked.scores, strict=True)
    )


def test_what_is_asked_is_found_and_what_is_not_there_is_not(loaded, examples):
    """Most of all that is found of a class is found when that is asked for."""
    images = [example["image"] for example in examples]
    truth = np.array([int(example["objects"][0, 4]) for example in examples])
    said = [loaded.predict(images, {"query": label}) for label in loaded.labels]
    right = wrong = 0
    for number, found in enumerate(said):
        boxes = np.array([len(own) for own in found.boxes])
        right += boxes[truth == number].astype(bool).sum()
        wrong += boxes[truth != number].astype(bool).sum()
    assert right > len(images) / 2
    assert wrong < right / 2


def test_a_phrase_that_training_never_said_is_followed_by_what_it_means(loaded, examples):
    images = [example["image"] for example in examples]
    said = {
        text: [len(own) for own in loaded.predict(images, {"query": text}).boxes]
        for text in ("bright", "lit", "dark")
    }
    apart = {text: np.abs(np.subtract(said["bright"], said[text])).sum() for text in said}
    assert apart["lit"] < apart["dark"] / 3


def test_phrases_that_nothing_could_follow_are_refused(weights, tmp_path):
    for patch, phrases, task, said in (
        ("query_modulation", "bright", ASKED, "phrases is bright, which means nothing to a patch"),
        (PATCH, "bright", SQUARES, "phrases is of tasks with queries"),
        (PATCH, "a, b, c, d, e, f, g, h, i, j", ASKED, "10 new ones .* has room for 9"),
    ):
        settings = small.settings(weights, patch=patch, phrases=phrases)
        with pytest.raises(SettingError, match=said):
            runs.Run([task], settings, tmp_path / "run")


def test_an_unknown_query_says_which_are_known(loaded, examples):
    with pytest.raises(UnknownNameError, match=r"no query is called 'dar'.*'dark'.*left lit"):
        loaded.predict(examples[0]["image"], {"query": "dar"})
    with pytest.raises(PredictionInputError, match=r"does not read place in words.* reads query"):
        loaded.predict(examples[0]["image"], {"place": "here"})


def test_a_picture_shows_what_was_asked_for(loaded, examples, tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(examples[0]["image"]).save(file)
    wanted = loaded.predict(str(file), {"query": "lit"})
    asked = {"query": "lit"}
    (found,) = detecting.detect_files(loaded, [str(file)], tmp_path / "found", asked)
    np.testing.assert_array_equal(found.scores, wanted.scores[0])
    document = json.loads((tmp_path / "found" / detecting.DOCUMENT).read_text())
    assert len(document["annotations"]) == len(found.scores)
    with pytest.raises(UnknownNameError, match="Known: bright, dark, largest dark"):
        list(detecting.detect_files(loaded, [str(file)], tmp_path / "other", {"query": "red"}))
    assert not (tmp_path / "other").exists()


def test_a_server_reads_a_query_in_words(path, weights):
    network, _ = serving.from_files(
        [str(path)], serving.Wanted(None, str(weights), None, 1, (1,), "norms")
    )
    task = network.task("squares_by_query")
    asked, silent = read_inputs([("query", "left dark")], task), read_inputs([], task)
    np.testing.assert_array_equal(np.flatnonzero(asked["query"]), [2, 3])
    np.testing.assert_array_equal(np.flatnonzero(silent["query"]), [0])
    for given, said in (
        ([("query", "red")], "no query is called 'red'.*Known: bright, dark"),
        ([("query", "dark"), ("query", "lit")], "takes "),
        ([("place", "dark")], r"takes \?query=bright or the same as fields"),
    ):
        with pytest.raises(InputsError, match=said):
            read_inputs(given, task)


def test_asking_is_compared_with_dropping_boxes(path, squares_run, weights):
    standard, (row,) = squares_run[0] / "squares.patch", squares_run[1]
    found = compare_queries(path, standard, "test", ASKED, weights)
    lines = {line.name: line for line in found.lines}
    assert found.images == 12
    saved = read_patch(path).scores["test"]
    assert lines["AP without a query"][1:] == (saved, pytest.approx(row.test_accuracy))
    assert lines["AP50 of a class that is there"].asked > 0.5
    # Who is asked for the other class says little of this one: the query is not ignored.
    other = lines["AP50 asked for another class"].asked
    assert other < lines["AP50 of a class that is there"].asked / 2
    shares = [value for line in found.lines for value in line[1:] if value is not None]
    assert all(0 <= share <= 1 for share in shares)
    rows = found.rows("a command")
    assert len(rows) == len(shares)
    assert {(row.patch.partition("(")[0], row.setting) for row in rows} == {
        ("query_modulation", "32 px, step 60 of 60, asked"),
        ("scale_bias", "32 px, step 120 of 120, filtered"),
    }
    assert str(found).startswith("squares_by_query, test, 12 images")
    with pytest.raises(NoQueryError, match="reads more than the image"):
        compare_queries(path, path, "test", ASKED, weights)
    with pytest.raises(NoQueryError, match="follows no queries"):
        compare_queries(standard, standard, "test", ASKED, weights)


def test_a_file_evaluates_to_its_saved_score(path, weights):
    found = evaluation.evaluate(str(path), "test", ASKED, str(weights))
    assert found.score == found.saved
