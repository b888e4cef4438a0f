"""Tables and a picture of results that `launch/compare` wrote; runs nothing.

    launch/report results/patch_comparison.csv --picture=docs/images/patch_comparison.png

A file may hold the rows of several comparisons of the same tasks, with other patches or seeds.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters.errors import ModelPatchError
from adapters.experiment import comparison_report
from adapters.training import tidy
from launch import command

_PICTURE = flags.DEFINE_string("picture", None, "PNG file for accuracy against bytes.")


class NoComparisonError(ModelPatchError):
    """A results file without test or validation scores of patches."""


def main(arguments: Sequence[str]) -> None:
    """Prints a line a patch, what sizes follow, and where patches lose."""
    if len(arguments) != 2:
        raise app.UsageError("give one results file: launch/report results/patch_comparison.csv")
    path = pathlib.Path(arguments[1])
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
    command.run(main)
