"""What a run achieved and what its patches cost, as a table of text."""

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from adapters.heads.classification import BALANCED, BASELINE
from adapters.heads.contract import Figure


@dataclasses.dataclass(frozen=True)
class Row:
    """One task's results: accuracies in [0, 1], sizes in bytes, shares in percent.

    `patch_bytes` is the whole file; `edit_bytes`, `statistics_bytes` and `head_bytes` are what its
    trained leaves, its normalisation statistics and its head take of it. The shares are the patch's
    bytes over the extractor's: the edits alone, with the head, with the statistics as well.
    `unrounded_accuracy` is that on validation before the numbers were rounded for the file. Where
    a head has another score than accuracy, `metric` says which, and "accuracies" are that score.
    `figures` has all of the head's, by split; `warnings` are what a person must know beside them.
    `step` is how many steps were done when the patch was as the file has it.
    """

    task: str
    validation_accuracy: float
    patch_bytes: int
    edit_bytes: int
    statistics_bytes: int
    head_bytes: int
    share: float
    share_with_head: float
    share_with_statistics: float
    test_accuracy: float | None = None
    head_only_accuracy: float | None = None
    unrounded_accuracy: float | None = None
    metric: str = "accuracy"
    figures: Mapping[str, Mapping[str, Figure]] = dataclasses.field(default_factory=dict)
    warnings: Sequence[str] = ()
    step: int | None = None

    @property
    def lost_to_encoding(self) -> float | None:
        """The accuracy on validation that rounding cost, if the numbers were rounded."""
        if self.unrounded_accuracy is None:
            return None
        return self.unrounded_accuracy - self.validation_accuracy

    def last(self, name: str) -> float | None:
        """A figure of the head's on the test split, or on validation where that is all there is."""
        figures = self.figures.get("test", self.figures.get("validation", {}))
        return figures[name].value if name in figures else None


def in_words(figure: Figure) -> str:
    """A figure as a person reads it.

    >>> in_words(Figure(0.5, "fraction")), in_words(Figure(3.25, "years"))
    ('50.00 %', '3.25 years')
    """
    if figure.unit == "fraction":
        return f"{100 * figure.value:.2f} %"
    return f"{figure.value:.4g} {figure.unit}"


_Column = tuple[str, Callable[[Row], float | None], str]
_SCORES: tuple[_Column, ...] = (
    ("validation %", lambda row: _percent(row.validation_accuracy), ".2f"),
    ("unrounded %", lambda row: _percent(row.unrounded_accuracy), ".2f"),
    ("test %", lambda row: _percent(row.test_accuracy), ".2f"),
    ("head only %", lambda row: _percent(row.head_only_accuracy), ".2f"),
    ("balanced %", lambda row: _percent(row.last(BALANCED)), ".2f"),
    ("majority %", lambda row: _percent(row.last(BASELINE)), ".2f"),
)
_STEPS: tuple[_Column, ...] = (("step", lambda row: row.step, ",.0f"),)
_SIZES: tuple[_Column, ...] = (
    ("patch bytes", lambda row: row.patch_bytes, ",.0f"),
    ("edits", lambda row: row.edit_bytes, ",.0f"),
    ("statistics", lambda row: row.statistics_bytes, ",.0f"),
    ("head", lambda row: row.head_bytes, ",.0f"),
    ("share %", lambda row: row.share, ".3f"),
    ("+ head %", lambda row: row.share_with_head, ".3f"),
    ("+ statistics %", lambda row: row.share_with_statistics, ".3f"),
)


def table(rows: Sequence[Row]) -> str:
    """`rows` as aligned text with a last row of means; `-` where nothing was measured.

    A mean is over the tasks that have the figure; there is none of scores of several kinds. Columns
    that no task has are left out. Beside a classifier's accuracies stand the mean recall of its
    classes and the accuracy of its largest class alone, both of the last of its splits. Further
    figures of heads follow, a line each, and warnings.
    """
    columns = [
        column
        for column in (*_SCORES, *_STEPS, *_SIZES)
        if any(column[1](row) is not None for row in rows)
    ]
    lines = [["task", *(title for title, _, _ in columns)]]
    lines += [
        [named(row.task, row.metric), *(_cell(get(row), form) for _, get, form in columns)]
        for row in rows
    ]
    averaged = (*_SCORES, *_SIZES) if one_score(row.metric for row in rows) else _SIZES
    means = [_mean(map(column[1], rows)) if column in averaged else None for column in columns]
    lines.append(
        ["mean", *(_cell(mean, column[2]) for mean, column in zip(means, columns, strict=True))]
    )
    others = [
        f"{row.task}: {split} {name} {in_words(figure)}"
        for row in rows
        for split, figures in row.figures.items()
        for name, figure in figures.items()
        if name not in (row.metric, BALANCED, BASELINE)
    ]
    warnings = [warning for row in rows for warning in row.warnings]
    parts = [[grid(lines, below=1)], others, warnings]
    return "\n\n".join("\n".join(part) for part in parts if part)


def named(task: str, metric: str) -> str:
    """The task, with its score where that is no accuracy."""
    return task if metric == "accuracy" else f"{task} ({metric})"


def one_score(metrics: Iterable[str]) -> str | None:
    """What all tasks are scored by; None where that differs, and no mean over them says anything.

    >>> one_score(["R^2", "R^2"]), one_score(["R^2", "accuracy"])
    ('R^2', None)
    """
    found = set(metrics)
    return found.pop() if len(found) == 1 else None


def titled(score: str) -> str:
    """The score at the beginning of a title: names such as mIoU and PQ keep their letters.

    >>> titled("balanced accuracy"), titled("mIoU"), titled("PQ")
    ('Balanced accuracy', 'mIoU', 'PQ')
    """
    return score.capitalize() if score.islower() else score


def grid(lines: Sequence[Sequence[str]], below: int) -> str:
    """Lines of cells as text in columns, the first to the left and the others to the right.

    A rule stands under the first line, and over the last `below` ones if there are any.
    """
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    head, *body = (_aligned(line, widths) for line in lines)
    if below:
        body.insert(len(body) - below, rule)
    return "\n".join([head, rule, *body])


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)])


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _percent(accuracy: float | None) -> float | None:
    return None if accuracy is None else 100.0 * accuracy


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
