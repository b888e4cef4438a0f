"""Tells what a patch's first look at images is worth: when to stop there, how kernels are mixed.

    launch/preview out/digits.patch --weights=out/backbone.safetensors --plot=digits_preview.png

The threshold is chosen on validation: the cheapest that loses at most --loss of the accuracy. Then
test is scored, where its labels are to be had.
"""

import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.analysis import mixing
from adapters.experiment import evaluation, output, previewing
from adapters.training import tidy
from launch import command, shared_flags

_WEIGHTS = flags.DEFINE_string("weights", None, "The shared backbone, with preview and bases.")
_TASK = shared_flags.task()
_DATA_DIR = shared_flags.data_dir()
_LOSS = flags.DEFINE_float("loss", 0.0, "Accuracy that may be lost on validation, a fraction.")
_PLOT = flags.DEFINE_string("plot", None, "PNG file of thresholds and mixtures.")
_RESULTS = flags.DEFINE_string(
    "results", None, "CSV file for rows of figures; they take the place of earlier ones."
)
_SEED = flags.DEFINE_integer("seed", 0, "The run's, for the rows of --results.")
_TIMED = flags.DEFINE_bool("timed", True, "Measure the speed-up too, on an idle machine.")


def main(arguments: Sequence[str]) -> None:
    """Prints the chosen threshold, and what it does."""
    if len(arguments) != 2:
        raise app.UsageError("give one patch file: launch/preview out/digits.patch")
    if _PLOT.value:
        output.new_file(_PLOT.value)
    opened = evaluation.open_patch(
        arguments[1], "validation", _TASK.value, _WEIGHTS.value, data_dir=_DATA_DIR.value
    )
    study = previewing.Preview(opened, _DATA_DIR.value)
    validation = study.both("validation")
    points = [study.point(validation, threshold) for threshold in previewing.thresholds()]
    chosen = previewing.choose(points, _LOSS.value)
    tested = "test" in opened.task.splits and not opened.task.hidden_test_labels
    split = "test" if tested else "validation"
    scored = study.both(split) if tested else validation
    stopping = (
        f"stops at a probability of {chosen.threshold:.2f}"
        if chosen.threshold < previewing.NEVER
        else "stops nowhere: no threshold is cheaper without losing more than --loss allows"
    )
    print(
        f"{opened.contents.task}: a look takes {study.look / 1e6:.2f} million multiply-adds, "
        f"finishing {study.finish / 1e6:.2f} million more\n{stopping}, chosen on validation"
    )
    rows = []
    for name, threshold in (
        ("never stopping", previewing.NEVER),
        ("as chosen", chosen.threshold),
        ("look alone", 0.0),
    ):
        point = study.point(scored, threshold)
        print(
            f"{split}, {name}: accuracy {100 * point.accuracy:.2f} %, {100 * point.stopped:.1f} % "
            f"stop, {point.multiply_adds / 1e6:.2f} million multiply-adds an image"
        )
        rows += [
            _row(opened, name, split, "accuracy", point.accuracy, "fraction"),
            _row(opened, name, split, "share stopped", point.stopped, "fraction"),
            _row(opened, name, split, "multiply-adds", point.multiply_adds, "multiply-adds"),
        ]
    mixtures = study.mixtures("validation")
    for path, own in mixtures.items():
        found = mixing.mixing(own)
        shares = ", ".join(f"{100 * share:.0f}" for share in found.shares)
        print(
            f"{path}: bases take {shares} %, entropy {found.entropy:.2f} of an even mix's, spread "
            f"between images {found.spread:.3f}"
            f"{f'. COLLAPSED: {found.collapse}' if found.collapse else ''}"
        )
        where = f"mixture of {path}"
        rows += [
            _row(opened, where, "validation", "entropy", found.entropy, "of an even mix's"),
            _row(opened, where, "validation", "spread", found.spread, "of the most there can be"),
        ]
    if _TIMED.value:
        before, after = study.seconds(split, chosen.threshold)
        print(f"measured: {before / after:.2f} times as fast as never stopping")
        rows.append(_row(opened, "as chosen", split, "ratio", before / after, "times as fast"))
    if _PLOT.value:
        title = f"{opened.contents.task}: {opened.contents.patch}"
        output.write_picture(_PLOT.value, previewing.picture(title, points, chosen, mixtures))
        print(f"{_PLOT.value} shows other thresholds, and how kernels are mixed, on validation.")
    if _RESULTS.value:
        tidy.update(_RESULTS.value, rows)


def _row(
    opened: evaluation.Opened, setting: str, split: str, metric: str, value: float, unit: str
) -> tidy.Measurement:
    return tidy.Measurement(
        task=opened.contents.task,
        backbone=opened.contents.backbone,
        patch=opened.contents.patch,
        setting=setting,
        seed=_SEED.value,
        split=split,
        metric=metric,
        value=value,
        unit=unit,
        command=shlex.join(["launch/preview", *sys.argv[1:]]),
    )


if __name__ == "__main__":
    command.run(main)
