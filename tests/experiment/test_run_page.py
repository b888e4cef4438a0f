"""The page of a run, against the files that it is made of."""

import contextlib
import html.parser
import json
import re

import numpy as np
import pytest

import adapters
from adapters.experiment import confusions, line_chart, reporting, run_record
from adapters.experiment.run_files import RESULTS, RUN
from adapters.heads.assessment import Assessment
from adapters.training import lock, metrics, tidy

HOSTILE = "<script>alert('1')<|script> $x^$ \u202edesrever & \""
LOG = [
    {"step": 10, "train/loss/cats": 2.0, "train/share/cats": 1.0, "train/weight/cats": 1.25},
    {"step": 20, "train/loss/dogs": 1.0, "train/share/dogs": 1.0, "train/weight/dogs": 0.5},
    {"step": 30, "train/loss/cats": None, "train/share/cats": 0.75, "train/loss/dogs": 0.5}
    | {"train/share/dogs": 0.25},
    {"step": 30, "validation/accuracy/cats": 0.75, "validation/accuracy/dogs": 0.5},
    {"step": 40, "train/loss/cats": 0.5, "train/share/cats": 1.0},
    {"step": 40, "validation/accuracy/cats": 0.625, "validation/accuracy/dogs": 0.875},
]
VOID = {"meta", "link", "br"}


class Page(html.parser.HTMLParser):
    """What a page holds: its elements with their attributes, and its texts by the element."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))
        if {"th", "td"} & set(self._open):
            self.rows[-1][-1] += data

    def of(self, tag: str) -> list[str]:
        return [text for own, text in self.texts if own == tag]

    def charts(self) -> dict[str, list[tuple[str, dict[str, str]]]]:
        """The elements of each chart, by what is said of it."""
        found: dict[str, list[tuple[str, dict[str, str]]]] = {}
        for tag, attributes in self.elements:
            if tag == "svg":
                own = found.setdefault(attributes["aria-label"], [])
            elif tag in ("path", "circle"):
                own.append((tag, attributes))
        return found

    @property
    def again(self) -> list[str]:
        return [a["content"] for tag, a in self.elements if a.get("http-equiv") == "refresh"]


def write_run(folder, log=LOG, names=("cats", "dogs"), labels=("yes", "no")):
    """The files of a run that was stopped after step 40 of 60."""
    folder.mkdir(exist_ok=True)
    run = {
        "backbone": "mobilenet_v2",
        "patch": "bias",
        "recipe": {"steps": 60, "norm": "frozen"},
        "tasks": [f"{name} 1.0.0" for name in names],
        "data": {name: {"labels": list(labels)} for name in names},
    }
    (folder / RUN).write_text(json.dumps(run))
    lines = "".join(json.dumps(record) + "\n" for record in log)
    (folder / metrics.FILE).write_text(lines)
    return folder


def finish(folder, names=("cats", "dogs")):
    """What a run writes in the end."""

    def row(task, split, metric, value):
        return tidy.Measurement(task, "b", "bias", "", 0, split, metric, value, "", "a test")

    tidy.append(
        folder / RESULTS,
        [
            one
            for place, task in enumerate(names)
            for one in (
                row(task, "validation", "accuracy", 0.6 + place / 10),
                row(task, "test", "accuracy", 0.5 + place / 10),
                row(task, "test", "majority baseline", 0.25),
                row(task, "", "patch", 1000 * (place + 1)),
                row(task, "", "share of extractor", 0.5),
            )
        ],
    )


def page_of(folder) -> Page:
    return Page(reporting.report(folder).read_text("utf-8"))


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def test_a_run_that_was_stopped_shows_what_its_log_has(run):
    page = page_of(run)
    assert [page.of("title")[0]] == page.of("p")[:1] == ["stopped: step 40 of 60 (66 %)"]
    assert ("progress", {"value": "40", "max": "60"}) in page.elements
    assert page.again == []
    # Drawn: the mean of 1, 0, 0.75, 1 and of 0, 1, 0.25, 0.
    head = ["task", "step", "validation, %", "best so far, %", "drawn, %"]
    assert page.rows[:3] == [
        head,
        ["cats", "40", "62.50", "75.00", "68.8"],
        ["dogs", "40", "87.50", "87.50", "31.2"],
    ]
    assert ["norm", "frozen"] in page.rows
    assert "They are written when the run has ended." in page.of("p")


def test_a_finished_run_shows_what_its_files_hold(run):
    finish(run)
    page = page_of(run)
    assert page.of("title")[:1] == ["finished: step 40 of 60 (66 %)"]
    assert page.rows[:3] == [
        ["task", "validation, %", "test, %", "majority, %", "drawn, %"],
        ["cats", "60.00", "50.00", "25.00", "68.8"],
        ["dogs", "70.00", "60.00", "25.00", "31.2"],
    ]
    assert page.rows[4:6] == [["cats", "1,000", "0.500", ""], ["dogs", "2,000", "0.500", ""]]
    bars = [attributes["style"] for tag, attributes in page.elements if tag == "i"]
    assert bars == ["width:50.00%", "width:100.00%"]


def test_curves_lie_where_the_log_says(run):
    """Read back out of the picture by its own frame: x from 0 to 60 steps, y from the low end."""
    charts = page_of(run).charts()
    assert len(charts) == 8
    frames = {next(a["d"] for _, a in own if a["class"] == "frame") for own in charts.values()}
    (frame,) = frames
    left, top, bottom, right = map(float, re.fullmatch(r"M(\S+) (\S+)V(\S+)H(\S+)", frame).groups())

    def curve(name, look, high, low=0.0):
        (path,) = (a["d"] for tag, a in charts[name] if tag == "path" and a["class"] == look)
        return [
            (
                pen,
                round(60 * (float(x) - left) / (right - left)),
                low + (high - low) * (bottom - float(y)) / (bottom - top),
            )
            for pen, x, y in re.findall(r"([ML])(\S+?) ([\d.]+)", path)
        ]

    def near(expected):
        return [(pen, step, pytest.approx(value, abs=0.02)) for pen, step, value in expected]

    # What is not finite breaks a line.
    assert curve("cats: loss in training", "faint", 2.0) == near([("M", 10, 2.0), ("M", 40, 0.5)])
    drawn = [("M", 10, 0.0), ("L", 20, 1.0), ("L", 30, 0.25), ("L", 40, 0.0)]
    assert curve("dogs: share of a step's groups", "faint", 1.0) == near(drawn)
    level = [("M", 0, 0.5), ("L", 60, 0.5)]
    assert curve("dogs: share of a step's groups", "level", 1.0) == near(level)
    assert curve("cats: weight of its loss", "faint", 1.25) == near([("M", 10, 1.25)])
    # One range for both tasks: from 50 to 90.
    score = [("M", 30, 75.0), ("L", 40, 62.5)]
    values = curve("cats: accuracy on validation, %", "strong", 90.0, 50.0)
    assert [(p, s, pytest.approx(v, abs=0.3)) for p, s, v in score] == values
    dots = [a for tag, a in charts["cats: accuracy on validation, %"] if tag == "circle"]
    assert len(dots) == 2


def test_while_a_run_goes_on_its_page_loads_itself_again(run):
    """A last line that is still being written is left out."""
    with open(run / metrics.FILE, "a") as log:
        log.write('{"step": 50, "train/loss/ca')
    stack = contextlib.ExitStack()
    waited = []

    def wait(seconds):
        waited.append(seconds)
        page = Page((run / reporting.PAGE).read_text("utf-8"))
        assert page.again == [f"{seconds}"]
        assert page.of("p")[0].startswith("going on: step 40 of 60 (66 %), as of ")
        finish(run)
        stack.close()

    with stack:
        stack.enter_context(lock.lock(run))
        said = list(reporting.followed(run, wait))
    assert waited == [10]
    assert said == ["going on: step 40 of 60 (66 %)", "finished: step 40 of 60 (66 %)"]
    assert Page((run / reporting.PAGE).read_text("utf-8")).again == []


def test_a_run_that_has_only_begun_has_a_page(run):
    (run / metrics.FILE).unlink()
    assert page_of(run).of("title")[:1] == ["stopped: step 0 of 60 (0 %)"]
    (run / metrics.FILE).write_text("")
    assert page_of(run).rows[:3] == [["task"], ["cats"], ["dogs"]]


def test_what_users_call_things_is_text_and_nothing_comes_from_elsewhere(tmp_path):
    """A task, and a class that also holds what acts on a terminal."""
    log = [{tag.replace("cats", HOSTILE): v for tag, v in record.items()} for record in LOG]
    run = write_run(tmp_path / "run", log, (HOSTILE, "dogs"), (f"{HOSTILE}\x1b[31m", "no"))
    answers = Assessment((f"{HOSTILE}\x1b[31m", "no"), (0, 1, 1), (1, 1, 0), (0.9, 0.9, 0.9))
    confusions.write(run, {HOSTILE: ("validation", answers)})
    finish(run, (HOSTILE, "dogs"))
    page = page_of(run)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "img", "object"})
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "src" for name in attributes)
        assert attributes.get("href", "data:,") == "data:,"
    assert "url(" not in "".join(page.of("style"))
    # Each in an element that keeps its direction to itself, and with what turns text around seen.
    seen = HOSTILE.replace("\u202e", r"\u202e")
    assert page.of("bdi").count(seen) == 4
    assert page.of("bdi").count(ascii(f"{HOSTILE}\x1b[31m")[1:-1]) == 2
    assert all(own == "bdi" for own, text in page.texts if "alert" in text)
    assert f"{seen}: loss in training" in page.charts()


@pytest.mark.parametrize("classes", [3, 21])
def test_the_task_of_the_lowest_accuracy_shows_what_it_takes_for_what(run, classes):
    labels = tuple(f"class {number}" for number in range(classes))
    truth = (0,) * 5 + (1,) * 4 + (2,) * 3
    answers = (0, 1, 1, 1, 2, 1, 1, 1, 1, 0, 0, 2)
    worse = Assessment(labels, truth, answers, (0.5,) * 12)
    better = Assessment(("yes", "no"), (0, 1), (0, 1), (0.5, 0.5))
    changed = json.loads((run / RUN).read_text())
    changed["data"]["dogs"]["labels"] = labels
    (run / RUN).write_text(json.dumps(changed))
    confusions.write(run, {"cats": ("test", better), "dogs": ("test", worse), "x": ("test", None)})
    page = page_of(run)
    said = "".join(text for _, text in page.texts)
    assert "dogs: 50.00 % of 12 images of test are answered rightly." in said
    if classes == 3:
        table = np.asarray(
            [[cell or "0" for cell in row[1:]] for row in page.rows if "class " in row[0]]
        )
        assert table[1:].astype(int).tolist() == worse.counts.tolist()
    else:
        assert ["class 0", "class 1", "3"] in page.rows
        assert ["class 2", "class 0", "2"] in page.rows
        assert ["class 0", "class 2", "1"] in page.rows
        assert ["class 1", "class 1", "4"] not in page.rows


def test_what_is_no_run_is_refused(tmp_path, run):
    with pytest.raises(run_record.NoRunError, match=r"holds no run: it has no run\.json"):
        adapters.report(tmp_path)
    for text, said in (
        ("{", "is damaged"),
        ("[]", "holds no settings"),
        ("{}", "does not say what a run trains"),
        ('{"tasks": [1], "recipe": {"steps": 3}}', "does not say what a run trains"),
    ):
        (run / RUN).write_text(text)
        with pytest.raises(run_record.NoRunError, match=said):
            adapters.report(run)
    write_run(run)
    (run / confusions.FILE).write_text("task,images\n")
    with pytest.raises(confusions.ConfusionsError, match="its columns are task, images"):
        adapters.report(run)
    assert not (run / reporting.PAGE).exists()


def test_ticks_are_round_and_few():
    for low, high in ((0, 2.37), (-0.3, 0.4), (63, 97), (0, 1e-6), (0, 12345), (0.7, 0.7)):
        found = line_chart.ticks(line_chart.Range(low, high))
        assert 1 <= len(found) <= 5
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
        assert len(found) > 1 or low == high
