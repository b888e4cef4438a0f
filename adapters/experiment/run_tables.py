"""What a run achieved, and how large its patches are, as HTML tables."""

import math
from collections.abc import Mapping

from adapters.experiment import run_curves
from adapters.experiment.page_text import note, section, table, text
from adapters.experiment.run_record import RunRecord
from adapters.heads.classification import BALANCED, BASELINE
from adapters.training import curves
from adapters.training.report import named
from adapters.training.tidy import is_score

_STEP, _LAST, _BEST = "step", "validation, %", "best so far, %"
_TEST, _BALANCED, _MAJORITY, _DRAWN = "test, %", "balanced, %", "majority, %", "drawn, %"


def scores(record: RunRecord) -> str:
    """A row a task: of a finished run what its files hold, before that what the log has."""
    figures = _measured(record) if record.results else _logged(record)
    drawn = run_curves.shares(record)
    for task, (_, shares) in drawn.items():
        figures[task][_DRAWN] = f"{100 * sum(shares) / len(shares):.1f}"
    order = (_STEP, _LAST, _BEST, _TEST, _BALANCED, _MAJORITY, _DRAWN)
    columns = [column for column in order if any(column in own for own in figures.values())]
    metrics = _metrics(record)
    rows = (
        (text(named(task, metrics.get(task, "accuracy"))), *(own.get(c, "-") for c in columns))
        for task, own in figures.items()
    )
    said = ""
    if drawn:
        logged = len(run_curves.training(record.records))
        said = note(f"Drawn: the task's share of the groups of the {logged:,} steps in the log.")
    return section("Tasks", table(("task", *columns), rows), said)


def sizes(record: RunRecord) -> str:
    """Each patch file's bytes beside a bar, once they are written."""
    found = {row.task: row.value for row in record.results if row.metric == "patch"}
    if not found:
        return section("Patches", note("They are written when the run has ended."))
    shares = {row.task: row.value for row in record.results if row.metric == "share of extractor"}
    largest = max(found.values())
    rows = (
        (
            text(task),
            f"{size:,.0f}",
            f"{shares[task]:.3f}" if task in shares else "-",
            f'<span class="bar"><i style="width:{100 * size / largest:.2f}%"></i></span>',
        )
        for task, size in found.items()
    )
    columns = ("task", "bytes of the file", "edits, % of the network", "")
    return section("Patches", table(columns, rows))


def _metrics(record: RunRecord) -> Mapping[str, str]:
    measured = {row.task: row.metric for row in record.results if is_score(row)}
    return {**run_curves.scored_by(record.records), **measured}


def _measured(record: RunRecord) -> dict[str, dict[str, str]]:
    figures: dict[str, dict[str, str]] = {task: {} for task in record.tasks}
    for row in record.results:
        if row.task not in figures:
            continue
        percent = f"{100 * row.value:.2f}"
        if is_score(row) and row.split in ("validation", "test"):
            figures[row.task][_LAST if row.split == "validation" else _TEST] = percent
        elif row.split and row.metric in (BALANCED, BASELINE):
            # The last split that was scored stands last, as in the table that the run printed.
            figures[row.task][_BALANCED if row.metric == BALANCED else _MAJORITY] = percent
    return figures


def _logged(record: RunRecord) -> dict[str, dict[str, str]]:
    figures: dict[str, dict[str, str]] = {task: {} for task in record.tasks}
    for task, (steps, values) in curves.series(record.records, curves.VALIDATION).items():
        figures[task] = {
            _STEP: f"{steps[-1]:,}",
            _LAST: f"{100 * values[-1]:.2f}",
            _BEST: f"{100 * max(filter(math.isfinite, values), default=math.nan):.2f}",
        }
    return figures
