"""What a report of classes says, writes and shows; and what a run does about them."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import (
    assessment_pictures,
    assessment_report,
    assessments,
    mistakes_picture,
    results,
    task_heads,
    training_run,
)
from adapters.experiment.output import OutputFolderError
from adapters.experiment.settings import SettingError
from adapters.heads.assessment import Assessment
from adapters.heads.classification import temperature
from adapters.inference.compiled import Answers
from adapters.store.training_course import Course
from launch import command
from tasks import registry
from tests.launch import small
from tests.launch.made_tasks import BRIGHTNESS, COLOURS


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Black and white squares, 4 of each on test."""
    root = tmp_path_factory.mktemp("images")
    return registry.resolve_one(f"folder:{small.write_folder(root / 'greys', 2)}")


@pytest.fixture(scope="module")
def black_alone(task):
    """Every image of test is taken for black, a white one the most surely."""
    truth = [example["label"] for example in task.source.open(task, "test", None)]
    sure = np.linspace(0.6, 0.9, len(truth)) + 0.05 * np.array(truth)
    return Assessment(task.labels, tuple(truth), (0,) * len(truth), tuple(sure.tolist()))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_a_folder_has_every_count_and_picture(task, black_alone, tmp_path):
    folder = tmp_path / "report" / "greys"
    assessment_report.write(folder, black_alone, task, "test", None)
    with open(folder / "confusion.csv") as file:
        head, *rows = csv.reader(file)
    images = [black_alone.truth.count(label) for label in (0, 1)]
    assert head == ["class", "class_0", "class_1"]
    assert rows == [["class_0", str(images[0]), "0"], ["class_1", str(images[1]), "0"]]
    with open(folder / "classes.csv") as file:
        black, white = csv.DictReader(file)
    assert (black["recall"], white["recall"], white["precision"]) == ("1.0", "0.0", "")
    assert float(black["precision"]) == images[0] / sum(images)
    for name in ("confusion.png", "calibration.png", "mistakes.png"):
        assert pixels((folder / name).read_bytes()).std() > 0
    with pytest.raises(OutputFolderError, match="greys exists already") as refused:
        assessment_report.check(task, folder)
    assert list(refused.value.settings) == ["report"]


def test_the_gallery_shows_the_mistakes_and_no_other_image(task, black_alone):
    """White squares alone, as many as there are; cells without one are paper."""
    examples = task.source.open(task, "test", None)
    sheet = pixels(mistakes_picture.picture("greys", black_alone, examples)).astype(int)
    cell, gap = mistakes_picture.CELL, mistakes_picture.GAP
    top = mistakes_picture.HEADING + 2 * mistakes_picture.LINE
    lefts = [gap + column * (cell + gap) for column in range(mistakes_picture.COLUMNS)]
    middles = [sheet[top + 40 : top + 80, left : left + cell] for left in lefts]
    shown = [bool(middle.std() > 5) for middle in middles]
    assert shown == [place < len(black_alone.mistakes) for place in range(len(lefts))]
    assert all(middle.mean() > 150 for middle in middles[: sum(shown)])
    first = examples[black_alone.mistakes[0]]["image"].astype(int)
    assert abs(middles[0].mean() - first.mean()) < 5


def test_a_matrix_is_dark_where_answers_are(black_alone):
    """Both rows in the column of black: its left half is blue, the right half white."""
    picture = pixels(assessment_pictures.confusion("greys", black_alone)).astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).sum(axis=0)
    columns = np.flatnonzero(blue > 0.5 * blue.max())
    assert np.ptp(columns[columns < picture.shape[1] // 2]) > 50
    many = Assessment(tuple(map(str, range(70))), tuple(range(70)), tuple(range(70)), (1.0,) * 70)
    assert pixels(assessment_pictures.confusion("many", many)).shape[0] > picture.shape[0]


@pytest.mark.parametrize(("classes", "shown"), [(2, 2), (20, 20), (21, 10)])
def test_a_table_has_all_of_few_classes_and_the_worst_of_many(classes, shown):
    """Class n has n + 1 images, of which one is found."""
    truth = [label for label in range(classes) for _ in range(label + 1)]
    first = [place == 0 or truth[place] != truth[place - 1] for place in range(len(truth))]
    answers = [label if own else 0 for label, own in zip(truth, first, strict=True)]
    labels = tuple(f"class {label}" for label in range(classes))
    made = Assessment(labels, tuple(truth), tuple(answers), (1.0,) * len(truth))
    _, _, *lines, _ = assessments.by_class(made).splitlines()
    found = [line.split("  ")[0] for line in lines]
    worst = [f"class {label}" for label in range(classes)][::-1][:shown]
    rest = [] if shown == classes else [f"and {classes - shown} classes of higher recall"]
    assert found == worst + rest
    assert f"{100 / classes:.2f}" in lines[0]


def test_a_warning_names_what_is_never_predicted(black_alone):
    count = black_alone.truth.count(1)
    (said,) = assessments.warnings("greys", "test", black_alone)
    assert "1 of 2 classes are never predicted on test: class_1" in said
    assert f"({count} images)" in said
    assert assessments.warnings("greys", "test", None) == []
    right = black_alone._replace(answers=black_alone.truth)
    assert assessments.warnings("greys", "test", right) == []


@pytest.mark.parametrize(("balance", "advised"), [("none", True), ("classes", False)])
def test_a_run_says_it_of_each_split_and_what_mends_it(task, tmp_path, balance, advised):
    def answers(guesses):
        logits = np.eye(2)[guesses]
        return Answers([""] * 4, {"label": np.array([0, 0, 1, 1])}, {"logits": logits})

    said = {"validation": answers([0, 1, 1, 1]), "test": answers([1, 1, 1, 1])}
    trained = results.Trained(
        task, {}, {}, task.made_head, None, said, {}, {}, Course(1, 1, "steps")
    )
    settings = small.settings(tmp_path, balance=balance)
    warning, *advice = results.warnings(trained, ["validation", "test"], settings)
    assert "greys: 1 of 2 classes are never predicted on test: class_0 (2 images)" in warning
    assert ["balance=classes" in line for line in advice] == [True] * advised


@pytest.mark.parametrize("other", [COLOURS, BRIGHTNESS], ids=lambda task: task.name)
def test_heads_without_classes_are_refused_before_anything_is_done(other, tmp_path):
    said = f"that of task {other.name} predicts {other.made_head.kind}"
    with pytest.raises(assessment_report.NoReportError, match=said):
        assessment_report.check(other, tmp_path / "report")
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    with pytest.raises(SettingError, match=said) as refused:
        training_run.Run(
            [other], small.settings(weights, balance="classes"), tmp_path / "out", "a test"
        )
    assert command.in_words(refused.value).endswith("(--balance)")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", [COLOURS, BRIGHTNESS], ids=lambda task: task.name)
def test_temperatures_are_of_one_answer_of_several(other, tmp_path):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    settings = small.settings(weights, temperature_scaling=True)
    with pytest.raises(SettingError, match=f"task {other.name} predicts") as refused:
        training_run.Run([other], settings, tmp_path / "out", "a test")
    assert command.in_words(refused.value).endswith("(--temperature_scaling)")


@pytest.mark.parametrize("wanted", [False, True])
def test_a_run_scales_its_heads_on_validation_where_asked(task, tmp_path, monkeypatch, wanted):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    settings = small.settings(weights, temperature_scaling=wanted)
    run = training_run.Run([task], settings, tmp_path / "out", "a test")
    logits, labels = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), np.array([0, 0, 1])

    def on_validation(index, split, weights, head):
        assert split == "validation"
        return Answers([""] * 3, {"label": labels}, {"logits": logits})

    monkeypatch.setattr(run._scores, "answers", on_validation)
    before = {"w": np.ones((4, 2), np.float32), "b": np.ones(2, np.float32)}
    _, after = run._scaled({}, {}, before, 0)
    divisor = temperature(logits, labels) if wanted else 1.0
    np.testing.assert_allclose(after["w"] * divisor, before["w"], rtol=1e-6)
    np.testing.assert_allclose(after["b"] * divisor, before["b"], rtol=1e-6)


@pytest.mark.parametrize("balance", ["none", "classes"])
def test_a_run_s_heads_know_how_often_classes_come_where_asked(tmp_path, balance):
    root = small.write_folder(tmp_path / "greys", 2)
    for number in range(4, 24):
        (root / "class_1" / f"{number:03d}.png").unlink()
    skewed = registry.resolve_one(f"folder:{root}")
    counts = np.bincount([one["label"] for one in skewed.source.open(skewed, "train", None)])
    (head,) = task_heads.task_heads([skewed], None, balance).heads
    known = head.standardised({"label": np.array([1, 0, 0])})
    if balance == "none":
        assert [*known] == ["label"]
    else:
        np.testing.assert_allclose(np.exp(known["log_shares"]), [counts / counts.sum()] * 3)


def test_labels_are_not_balanced_where_a_teacher_has_the_whole_loss(tmp_path):
    half = small.settings(tmp_path, teacher="out", balance="classes", recipe={"distillation": 0.5})
    assert half.balance == "classes"
    with pytest.raises(SettingError, match="teacher's probabilities have the whole loss"):
        small.settings(tmp_path, teacher="out", balance="classes", recipe={"distillation": 1.0})
