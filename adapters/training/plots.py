"""Pictures of a run: its curves, its accuracies, and accuracy against bytes."""

import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from adapters import drawing, files
from adapters.heads.classification import BALANCED, BASELINE
from adapters.training import curves, metrics
from adapters.training.report import Row, named, one_score, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (*drawing.PALETTE, "#8C6D31", "#7F7F7F")  # dashes tell the next eight apart
_DASHES = ("-", "--", ":", "-.")
_MARKERS = "osD^vPX*"
_INK = "#222222"
_STYLE = drawing.STYLE | {"axes.grid": True}


def plots(
    directory: str | os.PathLike[str],
    rows: Sequence[Row],
    metrics_path: str | os.PathLike[str],
) -> list[pathlib.Path]:
    """Draws `curves.png`, `accuracy.png` and `bytes.png` into `directory`; gives their paths.

    The curves are `train/loss/TASK` and `validation/SCORE/TASK` of the `metrics.jsonl` at
    `metrics_path`. The same figures give the same bytes. Raises MetricsError for a damaged file.
    """
    import matplotlib  # Here, as it adds half a second to the start of every command.

    root = pathlib.Path(directory)
    with matplotlib.rc_context(_STYLE):
        figures = {
            "curves.png": _curves(metrics.read(metrics_path), rows),
            "accuracy.png": _accuracy(rows),
            "bytes.png": _bytes(rows),
        }
        for name, figure in figures.items():
            files.write_bytes(root / name, drawing.png(figure))
    return [root / name for name in figures]


class Point(NamedTuple):
    """A patch in the picture: mean bytes a task, mean score, the score's spread over seeds."""

    name: str
    bytes: float
    score: float
    spread: float


def trade_off(
    path: str | os.PathLike[str], points: Sequence[Point], split: str, metric: str
) -> None:
    """Draws the score on `split` against bytes, which are on a logarithmic axis, to `path`.

    `metric` is what all tasks are scored by: there is no axis for several.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        files.write_bytes(path, drawing.png(_trade_off(points, split, metric)))


def _trade_off(points: Sequence[Point], split: str, metric: str) -> "Figure":
    from matplotlib.ticker import LogLocator, NullLocator

    # The names of patches may be long: they stand below, one a line.
    figure = _figure(width=7.5, height=4.5 + 0.2 * len(points))
    axes = figure.subplots()
    for number, point in enumerate(points):
        colour, _, marker = _look(number)
        axes.errorbar(
            point.bytes / 1000,
            100.0 * point.score,
            yerr=100.0 * point.spread,
            color=colour,
            marker=marker,
            markersize=9,
            capsize=4,
            linestyle="none",
            label=point.name,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(
        title=f"Mean {metric.removeprefix('mean ')} against the size of the patch file",
        xlabel="patch file, kB a task",
        ylabel=f"{split} {metric}, %",
    )
    axes.margins(0.1)
    figure.legend(loc="outside lower left", fontsize=9)
    return figure


def _curves(records: Sequence[metrics.Record], rows: Sequence[Row]) -> "Figure":
    losses = curves.series(records, curves.LOSS)
    accuracies = curves.series(records, curves.VALIDATION)
    tasks = list(dict.fromkeys([*(row.task for row in rows), *losses, *accuracies]))
    shipped = {row.task: row.step for row in rows}
    figure = _figure(width=8.5, height=6.5)
    above, below = figure.subplots(2, 1, sharex=True)
    for number, task in enumerate(tasks):
        colour, dash, _ = _look(number)
        steps, values = losses.get(task, ([], []))
        above.plot(steps, values, color=colour, linewidth=0.8, alpha=0.25)
        above.plot(steps, curves.smooth(values), color=colour, linestyle=dash, label=task)
        steps, values = accuracies.get(task, ([], []))
        percents = [100.0 * value for value in values]
        below.plot(steps, percents, color=colour, linestyle=dash, marker="o", markersize=3)
        _mark_shipped(below, shipped.get(task), dict(zip(steps, percents, strict=True)), colour)
    above.set(title="Training loss (smoothed; faint: as measured)", ylabel="loss")
    below.set(
        title=f"Validation {_score(rows)} (star: the step that ships)", ylabel="%", xlabel="step"
    )
    _legend(figure)
    return figure


def _mark_shipped(
    axes: "Axes", step: int | None, percents: Mapping[int, float], colour: str
) -> None:
    """A star on a task's curve at the step whose weights ship, if validation was scored then."""
    if step is not None and step in percents:
        axes.plot([step], [percents[step]], color=colour, marker="*", markersize=13, zorder=3)


def _accuracy(rows: Sequence[Row]) -> "Figure":
    kinds: dict[str, tuple[list[float | None], str]] = {
        "head only": ([row.head_only_accuracy for row in rows], "#BBBBBB"),
        "validation": ([*(row.validation_accuracy for row in rows)], "#56B4E9"),
        "test": ([row.test_accuracy for row in rows], "#0072B2"),
        "balanced": ([row.last(BALANCED) for row in rows], drawing.ORANGE),
    }
    shown = {name: kind for name, kind in kinds.items() if any(v is not None for v in kind[0])}
    figure = _figure(width=8.0, height=1.3 + len(rows) * (0.2 + 0.18 * len(shown)))
    axes = figure.subplots()
    thickness = 0.84 / max(len(shown), 1)
    for number, (name, (values, colour)) in enumerate(shown.items()):
        offset = (number - (len(shown) - 1) / 2) * thickness
        known = [(at + offset, 100.0 * v) for at, v in enumerate(values) if v is not None]
        bars = axes.barh(
            [at for at, _ in known], [v for _, v in known], thickness, color=colour, label=name
        )
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    baselines = [(at, row.last(BASELINE)) for at, row in enumerate(rows)]
    alone = [(at, 100.0 * share) for at, share in baselines if share is not None]
    if alone:
        places = [at for at, _ in alone]
        ends = [at - 0.42 for at in places], [at + 0.42 for at in places]
        axes.vlines([share for _, share in alone], *ends, color=_INK, label="largest class alone")
    axes.set_yticks(range(len(rows)), [named(row.task, row.metric) for row in rows])
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    least = min((100.0 * v for values, _ in shown.values() for v in values if v), default=0.0)
    axes.set(title=f"{titled(_score(rows))} per task", xlabel="%", xticks=range(0, 101, 20))
    axes.set_xlim(min(least, 0), 107)
    _legend(figure)
    return figure


def _score(rows: Sequence[Row]) -> str:
    """What all rows are scored by, or that it differs: then `named` says by what."""
    return one_score(row.metric for row in rows) or "score"


def _bytes(rows: Sequence[Row]) -> "Figure":
    figure = _figure(width=7.5, height=4.5)
    axes = figure.subplots()
    tested = all(row.test_accuracy is not None for row in rows)
    for number, row in enumerate(rows):
        accuracy = row.test_accuracy if tested else row.validation_accuracy
        colour, _, marker = _look(number)
        axes.plot(
            [row.patch_bytes / 1000],
            [math.nan if accuracy is None else 100.0 * accuracy],
            color=colour,
            marker=marker,
            markersize=9,
            linestyle="none",
            label=named(row.task, row.metric),
        )
    _scale_bytes(axes, [row.patch_bytes / 1000 for row in rows])
    axes.set(
        title=f"{titled(_score(rows))} against the size of the patch file",
        xlabel="patch file, kB",
        ylabel=f"{'test' if tested else 'validation'} {_score(rows)}, %",
    )
    axes.margins(0.1)
    _legend(figure)
    return figure


def _scale_bytes(axes: "Axes", kilobytes: Sequence[float]) -> None:
    """Linear from zero for sizes alike, logarithmic for sizes that differ a lot."""
    if kilobytes and max(kilobytes) > 20 * min(kilobytes) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.set_xlim(0, 1.15 * max(kilobytes, default=1.0))


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _legend(figure: "Figure") -> None:
    """One legend right of all axes, so that it covers no curve."""
    if figure.axes[0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", fontsize=9)


def _look(number: int) -> tuple[str, str, str]:
    """Colour, dashes and marker of the task `number`: 32 differ before they repeat."""
    count = len(_COLOURS)
    dash = _DASHES[number // count % len(_DASHES)]
    return _COLOURS[number % count], dash, _MARKERS[(number + number // count) % len(_MARKERS)]
