import dataclasses
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from adapters.heads.contract import Figure
from adapters.training import curves, metrics, plots, report

ROWS = [
    report.Row("dtd", 0.5, 41_000, 30_000, 8_000, 3_000, 0.4, 0.5, 0.75, 0.4, 0.3),
    report.Row("svhn", 0.75, 1_041_000, 30_000, 8_000, 3_000, 0.4, 0.6, 0.85),
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / metrics.FILE
    records = [{"step": s, "train/loss/dtd": 1 / (s + 1), "other": 1.0} for s in range(20)]
    records += [{"step": 20, "train/loss/dtd": None, "validation/accuracy/svhn": 0.5}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_pictures_are_drawn_and_do_not_depend_on_the_time(tmp_path, log):
    first = plots.plots(tmp_path / "first", ROWS, log)
    again = plots.plots(tmp_path / "again", ROWS, log)
    assert [path.name for path in first] == ["curves.png", "accuracy.png", "bytes.png"]
    for left, right in zip(first, again, strict=True):
        assert left.read_bytes() == right.read_bytes()
        image = Image.open(io.BytesIO(left.read_bytes()))
        assert not image.info.keys() & {"Software", "Creation Time"}
        assert len(np.unique(np.asarray(image).reshape(-1, 4), axis=0)) > 20


def test_names_are_no_formulas(tmp_path, log):
    odd = [dataclasses.replace(ROWS[0], task="$x^$"), dataclasses.replace(ROWS[1], task="$\\frac$")]
    assert len(plots.plots(tmp_path, odd, log)) == 3


def test_the_figures_show_the_data(log):
    records = metrics.read(log)
    above, below = plots._curves(records, ROWS[1:]).axes
    measured = {tuple(line.get_ydata())[:3] for line in above.lines if len(line.get_ydata())}
    assert (1.0, 1 / 2, 1 / 3) in measured
    assert [list(line.get_ydata()) for line in below.lines] == [[50.0], []]
    bars = plots._accuracy(ROWS).axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([30.0, 50.0, 75.0, 40.0])
    shares = {"balanced accuracy": Figure(0.25, "fraction")}
    shares["majority baseline"] = Figure(0.7, "fraction")
    pets = dataclasses.replace(ROWS[1], figures={"test": shares})
    axes = plots._accuracy([ROWS[0], pets]).axes[0]
    assert [bar.get_width() for bar in axes.patches][-1] == pytest.approx(25.0)
    (baseline,) = axes.collections[0].get_segments()
    np.testing.assert_allclose(baseline, [[70.0, 0.58], [70.0, 1.42]])
    axes = plots._bytes(ROWS).axes[0]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    assert points == [(41.0, 50.0), (1041.0, 75.0)]
    assert axes.get_xscale() == "log"


def test_a_star_marks_the_step_that_ships(log):
    """Where validation was scored then."""
    shipped = [dataclasses.replace(ROWS[1], step=step) for step in (20, 19)]
    stars = [plots._curves(metrics.read(log), [row]).axes[1].lines[1:] for row in shipped]
    marked = [
        [line.get_xydata().tolist() for line in own if line.get_marker() == "*"] for own in stars
    ]
    assert marked == [[[[20.0, 50.0]]], []]


def test_accuracy_against_bytes_has_error_bars_on_a_logarithmic_axis(tmp_path):
    points = [plots.Point("bias", 20_000, 0.5, 0.25), plots.Point("full", 9_000_000, 0.75, 0.0)]
    (axes,) = plots._trade_off(points, "test", "accuracy").axes
    drawn = [tuple(map(float, container[0].get_xydata()[0])) for container in axes.containers]
    assert drawn == [(20.0, 50.0), (9000.0, 75.0)]
    (bar,) = axes.containers[0][2][0].get_segments()
    assert bar.tolist() == [[20.0, 25.0], [20.0, 75.0]]
    assert axes.get_xscale() == "log"
    plots.trade_off(tmp_path / "picture.png", points, "test", "accuracy")
    with Image.open(tmp_path / "picture.png") as image:
        assert min(image.size) > 300


def test_the_score_is_named():
    (axes,) = plots._trade_off([plots.Point("bias", 20_000, 0.5, 0.0)], "test", "R^2").axes
    assert axes.get_title() == "Mean R^2 against the size of the patch file"
    assert axes.get_ylabel() == "test R^2, %"


def test_smoothing_is_a_weighted_mean_that_skips_what_is_not_finite():
    values = [3.0, 1.0, math.nan, 5.0]
    weights = [0.9**2, 0.9, 1.0]
    expected = [
        3.0,
        np.average([3.0, 1.0], weights=weights[1:]),
        np.average([3.0, 1.0], weights=weights[1:]),
        np.average([3.0, 1.0, 5.0], weights=weights),
    ]
    assert curves.smooth(values) == pytest.approx(expected)


def test_no_rows_and_no_records_still_draw(tmp_path):
    (tmp_path / metrics.FILE).write_text("")
    assert all(p.stat().st_size for p in plots.plots(tmp_path, [], tmp_path / metrics.FILE))
