"""Evaluates patch files: the accuracy of each on its task, beside the one it was saved with.

    launch/evaluate out/digits.patch

Each file is read through every check: its digest, the backbone's fingerprint, and parity of logits.
Below its line stand a classifier's classes, those least found first; of many the ten worst.

    launch/evaluate out/digits.patch --report=out/report

also writes out/report/digits: the confusion matrix and the figures of every class as CSV, and
pictures of the confusions, of the calibration and of the surest mistakes.

    launch/evaluate out/*.patch --graph=device/backbone.tflite --results=results/device.csv

evaluates on a graph that `launch/export --backbone` wrote, beside JAX: in LiteRT, ONNX Runtime (in
Node with --node), or jax.export. It gets the image files, as a device does.

    launch/evaluate out/*.patch --server=localhost:8080

asks a running `launch/serve` about the same files.

    launch/evaluate out/asked/sign_scenes_by_query.patch \\
      --standard=out/plain/sign_scenes_by_query.patch

asks a patch that follows queries for every class of every image, and compares with one that does
not, whose boxes of other classes are dropped: average precision, false alarms for absent classes,
and how much is found of small and large objects.

    launch/evaluate out/placed_emoji_*.patch --places=placed_emoji \\
      --coarser=placed_emoji_kinds --results=results/localisation.csv

scores where classifiers look: boxes and pixels of their class activation maps against those that
the task of --places knows of the same images, beside the middle of the image.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters import files
from adapters.experiment import graph_evaluation, localisation_picture, served_evaluation
from adapters.experiment.evaluation import evaluate
from adapters.experiment.localisation import localisations
from adapters.experiment.query_comparison import QueryComparison, compare_queries
from adapters.training import tidy
from launch import command
from tasks import registry

_SPLIT = flags.DEFINE_enum("split", "test", ("train", "validation", "test"), "What to evaluate on.")
_TASK = flags.DEFINE_string(
    "task", None, "Task to evaluate on, if the patch's own name does not find it: folder:PATH, say."
)
_WEIGHTS = flags.DEFINE_string(
    "weights", None, "The backbone's local checkpoint, if the patch's backbone brings none."
)
_REPORT = flags.DEFINE_string(
    "report", None, "Folder for pictures and tables of how each class is answered."
)
_GRAPH = flags.DEFINE_string(
    "graph", None, "Exported graph to evaluate on: .tflite, .onnx or .jax."
)
_NODE = flags.DEFINE_bool("node", False, "Run a .onnx graph in Node (npm ci --prefix javascript).")
_SERVER = flags.DEFINE_string("server", None, "A launch/serve to ask instead: host:port.")
_STANDARD = flags.DEFINE_string("standard", None, "Patch file to compare queries with.")
_PLACES = flags.DEFINE_string(
    "places", None, "Task of boxes or masks of the same images: score where classifiers look."
)
_COARSER = flags.DEFINE_string(
    "coarser", None, "With --places: task of the same images whose classes are made of the task's."
)
_RESULTS = flags.DEFINE_string(
    "results", None, "CSV file for what --graph, --server, --standard or --places gives."
)
_PICTURE = flags.DEFINE_string(
    "picture", None, "With --places: PNG file of what --results holds, against training images."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder with prepared TFDS data sets.")


def main(arguments: Sequence[str]) -> None:
    """Prints one line per patch file, and a table of its classes."""
    if len(arguments) < 2:
        raise app.UsageError("give one or more patch files: launch/evaluate out/digits.patch")
    ways = (_GRAPH, _SERVER, _STANDARD, _PLACES)
    others = [flag.value for flag in ways if flag.value is not None]
    if len(others) > 1:
        raise app.UsageError("one at a time: give --graph, --server, --standard or --places")
    if _RESULTS.value is not None and not others:
        raise app.UsageError(
            "--results keeps a comparison: name what to compare with by --graph, --server, "
            "--standard or --places"
        )
    if _PLACES.value is None and (_COARSER.value is not None or _PICTURE.value is not None):
        raise app.UsageError("--coarser and --picture are of --places: name the task with places")
    if _PICTURE.value is not None and _RESULTS.value is None:
        raise app.UsageError("--picture draws what --results holds: name that file")
    if _NODE.value and _GRAPH.value is None:
        raise app.UsageError("--node runs a graph: name one with --graph")
    if _REPORT.value is not None and others:
        raise app.UsageError(
            "--report is of what JAX answers: leave out --graph, --server, --standard and --places"
        )
    if _PLACES.value is not None:
        _localise(arguments[1:], _PLACES.value)
        return
    for path in arguments[1:]:
        found = _elsewhere(path)
        if found is None:
            evaluate_in_jax(path)
            continue
        print(found, flush=True)
        if _RESULTS.value is not None:
            tidy.update(_RESULTS.value, found.rows(_command(path)))


def _elsewhere(path: str) -> graph_evaluation.Comparison | QueryComparison | None:
    """What a graph, a server or another patch answers, if one is named."""
    given = (_SPLIT.value, _TASK.value, _WEIGHTS.value, _DATA_DIR.value)
    if _SERVER.value is not None:
        return served_evaluation.compare_served(path, _SERVER.value, *given)
    if _GRAPH.value is not None:
        return graph_evaluation.compare(path, _GRAPH.value, *given, node=_NODE.value)
    if _STANDARD.value is not None:
        return compare_queries(path, _STANDARD.value, *given)
    return None


def _localise(paths: Sequence[str], name: str) -> None:
    """Scores where the classifiers of patch files look, one after another, and draws all."""
    places = registry.resolve_one(name, _DATA_DIR.value)
    coarser = None
    if _COARSER.value is not None:
        coarser = registry.resolve_one(_COARSER.value, _DATA_DIR.value)
    given = (_SPLIT.value, _TASK.value, coarser, _WEIGHTS.value, _DATA_DIR.value)
    for found in localisations(paths, places, *given):
        print(found, flush=True)
        if _RESULTS.value is not None:
            said = [f"launch/evaluate {found.card.task}.patch --places={name}"]
            said += [f"--coarser={_COARSER.value}"] if coarser else []
            tidy.update(_RESULTS.value, found.rows(" ".join([*said, f"--split={_SPLIT.value}"])))
    if _PICTURE.value is not None and _RESULTS.value is not None:
        drawn = localisation_picture.picture(tidy.read(_RESULTS.value), _SPLIT.value)
        files.write_bytes(_PICTURE.value, drawn)


def evaluate_in_jax(path: str) -> None:
    """Prints the score of the patch file at `path` and how its classes do, and writes a report."""
    folder = _REPORT.value and pathlib.Path(_REPORT.value) / pathlib.Path(path).stem
    found = evaluate(
        path, _SPLIT.value, _TASK.value, _WEIGHTS.value, _DATA_DIR.value, report=folder
    )
    print("\n".join(filter(None, [str(found), found.by_class])), flush=True)
    if folder:
        print(f"{folder}/ has pictures and tables of that.")


def _command(path: str) -> str:
    """What to say again elsewhere: not where this machine keeps things."""
    asked = "*" if _STANDARD.value is None else f"asked/{pathlib.Path(path).stem}"
    said = f"launch/evaluate out/{asked}.patch --split={_SPLIT.value}"
    if _STANDARD.value is not None:
        return f"{said} --standard=out/plain/{pathlib.Path(_STANDARD.value).name}"
    if _GRAPH.value is None:
        return f"{said} --server=localhost:8080"
    node = " --node" if _NODE.value else ""
    return f"{said} --graph=device/{pathlib.Path(_GRAPH.value).name}{node}"


if __name__ == "__main__":
    command.run(main)
