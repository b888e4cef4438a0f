"""The curves of a run, a row of small charts a task, as HTML."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from adapters.experiment.line_chart import Line, Range, around, line_chart
from adapters.experiment.page_text import note, section, text
from adapters.experiment.run_record import RunRecord
from adapters.shown import shown
from adapters.training import curves, metrics

Curve = tuple[Sequence[int], Sequence[float]]
_NONE: Curve = ((), ())
_LEAST = 20.0  # points of a score that an axis covers, so that one image is no cliff


def training(records: Sequence[metrics.Record]) -> list[metrics.Record]:
    """The records of steps, without those of validations."""
    return [one for one in records if any(tag.startswith(curves.LOSS) for tag in one.values)]


def shares(record: RunRecord) -> dict[str, Curve]:
    """Each task's share of the groups of the steps that were logged; 0 where it had none."""
    known = training(record.records)
    if not any(tag.startswith(curves.SHARE) for one in known for tag in one.values):
        return {}
    steps = [one.step for one in known]
    return {
        task: (steps, [one.values.get(f"{curves.SHARE}{task}", 0.0) for one in known])
        for task in record.tasks
    }


def scored_by(records: Sequence[metrics.Record]) -> dict[str, str]:
    """What each task is scored by on validation."""
    tags = [tag for one in records for tag in one.values if tag.startswith(curves.VALIDATION)]
    parts = (tag.removeprefix(curves.VALIDATION).rpartition("/") for tag in tags)
    return {task: metric for metric, _, task in parts}


def charts(record: RunRecord) -> str:
    """A section with charts of each task: loss, score, share of the groups and weight."""
    of_task = _of_task(record)
    rows = (
        f'<div class="task"><h3>{text(task)}</h3>'
        f'<div class="charts">{"".join(chart(task) for chart in of_task)}</div></div>'
        for task in record.tasks
    )
    said = "Against steps. Faint: as logged; strong: smoothed; dashed: where all tasks are alike."
    return section("Curves", note(said), *rows)


def _of_task(record: RunRecord) -> list[Callable[[str], str]]:
    """What draws one chart of a task each, for all of which there is something to draw."""
    losses = curves.series(record.records, curves.LOSS)
    scores = {
        task: (steps, [100 * value for value in values])
        for task, (steps, values) in curves.series(record.records, curves.VALIDATION).items()
    }
    weights = curves.series(record.records, curves.WEIGHT)
    of_groups, metric = shares(record), scored_by(record.records)

    def drawn(task: str, caption: str, lines: Sequence[Line], values: Range) -> str:
        chart = line_chart(shown(f"{task}: {caption}"), lines, record.steps, values)
        return f"<figure><figcaption>{text(caption)}</figcaption>{chart}</figure>"

    def loss(task: str) -> str:
        curve = losses.get(task, _NONE)
        return drawn(task, "loss in training", _smoothed(curve), _range([curve]))

    def score(task: str) -> str:
        line = Line("strong", *scores.get(task, _NONE), dots=True)
        caption = f"{metric.get(task, 'score')} on validation, %"
        return drawn(task, caption, [line], _scores(scores))

    def share(task: str) -> str:
        lines = [_level(1 / len(record.tasks), record.steps), *_smoothed(of_groups[task])]
        return drawn(task, "share of a step's groups", lines, _range(of_groups.values()))

    def weight(task: str) -> str:
        lines = [_level(1.0, record.steps), *_smoothed(weights.get(task, _NONE))]
        return drawn(task, "weight of its loss", lines, _range(weights.values()))

    return [loss, score, *([share] if of_groups else []), *([weight] if weights else [])]


def _smoothed(curve: Curve) -> list[Line]:
    steps, values = curve
    return [Line("faint", steps, values), Line("strong", steps, curves.smooth(values))]


def _level(value: float, steps: int) -> Line:
    return Line("level", (0, steps), (value, value))


def _range(found: Iterable[Curve]) -> Range:
    return around([value for _, values in found for value in values], Range(0.0, 0.0))


def _scores(found: Mapping[str, Curve]) -> Range:
    """One range for all tasks, so that they can be compared: whole tens, 20 points at least."""
    values = [v for _, own in found.values() for v in own if math.isfinite(v)] or [0.0, 100.0]
    high = 10 * math.ceil(max(values) / 10)
    return Range(min(10 * math.floor(min(values) / 10), high - _LEAST), high)
