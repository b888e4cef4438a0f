"""The page of a run in a real Chromium. Opt-in, as `launch/page`'s tests are."""

import contextlib
import json

import pytest

from adapters.experiment import confusions, reporting, run_files, run_page
from adapters.heads.assessment import Assessment
from adapters.training import lock, metrics, tidy
from tests.javascript import chromium

HOSTILE = "<img src=x onerror=\"document.title='taken'\"> \u202egod"
TASKS = ("digits", HOSTILE)


@pytest.fixture(scope="module", autouse=True)
def _needed():
    chromium.skip_without_chromium()


@pytest.fixture
def run(tmp_path):
    """The folder of a run of two tasks, one of 300 steps behind it, one hundred to come."""
    folder = tmp_path / "out"
    folder.mkdir()
    record = {
        "patch": "bias",
        "backbone": "mobilenet_v2",
        "recipe": {"steps": 400},
        "tasks": [f"{task} 1.0.0" for task in TASKS],
        "data": {task: {"labels": ["yes", HOSTILE]} for task in TASKS},
    }
    (folder / run_files.RUN).write_text(json.dumps(record))
    with open(folder / metrics.FILE, "w") as log:
        for step in range(10, 301, 10):
            values = {"loss": 10 / step, "share": step % 20 / 20, "weight": 1 + step / 1000}
            tags = {f"train/{name}/{task}": v for name, v in values.items() for task in TASKS}
            log.write(json.dumps({"step": step, **tags}) + "\n")
            if step % 100 == 0:
                scores = {f"validation/accuracy/{task}": step / 400 for task in TASKS}
                log.write(json.dumps({"step": step, **scores}) + "\n")
    answers = Assessment(("yes", HOSTILE), (0, 1, 1), (1, 1, 0), (0.9, 0.9, 0.9))
    confusions.write(folder, {HOSTILE: ("validation", answers)})
    return folder


def test_a_browser_shows_a_run_as_it_goes_on_and_ends(run, monkeypatch):
    monkeypatch.setattr(run_page, "EVERY", 1)
    ending = contextlib.ExitStack()
    with chromium.opened(run.parent) as page:

        def wait(seconds):
            """The page that was just written is looked at; then the run ends."""
            page.call("goto", f"{page.address}out/{reporting.PAGE}")
            # Not by `evaluate`, which a page that is loaded again interrupts.
            page.call("waitForSelector", "text=going on: step 300 of 400 (75 %)")
            figure = {"task": HOSTILE, "backbone": "b", "patch": "bias", "setting": "", "seed": 0}
            figure |= {"split": "", "metric": "patch", "value": 1000, "unit": "bytes"}
            tidy.append(run / run_files.RESULTS, [tidy.Measurement(**figure, command="")])
            ending.close()

        with ending:
            ending.enter_context(lock.lock(run))
            assert len(list(reporting.followed(run, wait))) == 2
        # Nobody opens it again: it does so by itself.
        page.call("waitForSelector", "text=finished: step 300 of 400 (75 %)")
        assert page.evaluate("() => document.title") == "finished: step 300 of 400 (75 %)"
        assert page.evaluate("() => document.querySelector('[http-equiv=refresh]')") is None
        sizes = page.evaluate(
            "() => [...document.querySelectorAll('svg .strong')].map((e) => e.getBBox().width)"
        )
        # Two tasks, four curves each, and three dots in each of two.
        assert len(sizes) == 14
        assert all(width > 5 for width in sizes)
        assert page.evaluate("() => document.scripts.length") == 0
        assert HOSTILE.replace("\u202e", r"\u202e") in page.evaluate(
            "() => [...document.querySelectorAll('h3 bdi')].map((e) => e.textContent)"
        )
        colour = "() => getComputedStyle(document.body).backgroundColor"
        page.call("emulateMedia", {"colorScheme": "light"})
        light = page.evaluate(colour)
        page.call("emulateMedia", {"colorScheme": "dark"})
        assert light != page.evaluate(colour)
        page.call("setViewportSize", {"width": 360, "height": 700})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert page.call("trouble") == []
        assert {path.partition("?")[0] for path in page.asked} == {f"/out/{reporting.PAGE}"}
