"""A run as a web page, while it goes on and after; or tables of results. Runs nothing.

    launch/report out
    launch/report results/patch_comparison.csv --picture=docs/images/patch_comparison.png
    launch/report results/scheduling.csv --references=results/alone.csv

Of the folder of a run, `report.html` in it gets the curves of each task, how often each was drawn
and how much it counted, scores, sizes of patches, and the confusions of the worst task. While the
run goes on, the page is written again every ten seconds, and a browser shows the newest by itself.

Of a file of results that `launch/compare` wrote, tables are printed. It may hold the rows of
several comparisons of the same tasks, with other patches or seeds. With --references, results of
each task alone, there is a line a setting instead: the mean, the worst difference to a task alone,
and a score in the manner of the Visual Decathlon.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters.errors import ModelPatchError
from adapters.experiment import comparison_report, reference_report, reporting
from adapters.training import tidy
from launch import command

_PICTURE = flags.DEFINE_string(
    "picture", None, "PNG file for accuracy against bytes, of a file of results."
)
_REFERENCES = flags.DEFINE_string(
    "references", None, "File of results of runs of single tasks, to compare one of results with."
)


class NoComparisonError(ModelPatchError):
    """A results file without test or validation scores of patches."""


def main(arguments: Sequence[str]) -> None:
    """Writes the page of a run's folder, or prints what a file of results says."""
    if len(arguments) != 2:
        raise app.UsageError(
            "give the folder of a run, or one file of results: launch/report out, or "
            "launch/report results/patch_comparison.csv"
        )
    path = pathlib.Path(arguments[1])
    if not path.is_dir():
        _compare(path)
    elif _PICTURE.value or _REFERENCES.value:
        raise app.UsageError("--picture and --references are of a file of results, not of a run.")
    else:
        _show(path)


def _show(directory: pathlib.Path) -> None:
    """Keeps the page of a run up to date until the run has ended; Ctrl-C stops that alone."""
    said = None
    for state in reporting.followed(directory):
        if said is None:
            print(f"{directory / reporting.PAGE} shows the run.", flush=True)
        if state != said:
            print(state, flush=True)
        said = state


def _compare(path: pathlib.Path) -> None:
    """Prints a line a patch, what sizes follow, and where patches lose; or a line a setting."""
    if _REFERENCES.value:
        print(reference_report.report(tidy.read(path), tidy.read(_REFERENCES.value)))
        return
    rows = [row for row in tidy.read(path) if row.patch and row.task]
    if not any(row.metric == "patch" for row in rows):
        raise NoComparisonError(
            f"{path} holds no sizes of patch files: launch/compare writes them."
        )
    split, outcomes = comparison_report.outcomes(rows)
    print(comparison_report.summary(split, outcomes))
    if _PICTURE.value:
        drawn = comparison_report.picture(_PICTURE.value, split, outcomes)
        print(f"\n{_PICTURE.value} shows them." if drawn else f"\n{comparison_report.NO_PICTURE}")


if __name__ == "__main__":
    command.run(main, compiles=False)
