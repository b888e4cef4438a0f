"""What a run leaves behind: patch files, predictions, a table, plots and a tidy CSV."""

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from adapters import files
from adapters.backbones.builder import count_parameters
from adapters.backbones.checkpoint import Weights, write_checkpoint
from adapters.experiment import assessments, backbones, scoring
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import Settings
from adapters.fingerprint import fingerprint
from adapters.heads import linear
from adapters.heads.contract import Head
from adapters.inference.compiled import Answers, Inference, parity_check, parity_vector
from adapters.patches.registry import with_defaults
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents, auxiliary_heads
from adapters.store.read import read_patch
from adapters.store.training_course import Course
from adapters.store.write import patch_size, write_patch
from adapters.training import plots, report, tidy
from adapters.training.metrics import FILE as METRICS
from tasks.decathlon_score import HIGHEST_ERROR, decathlon_score
from tasks.inventory import Inventory
from tasks.task import Task

DECATHLON = "decathlon_"  # how the suite's task names begin
INVENTORY = "inventory.json"
SHARED_BACKBONE = "backbone.safetensors"


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """One task after training: its leaf edits, its head and that one's weights, its answers.

    All are of the numbers that the file stores; `unrounded` are the answers to validation before
    they were rounded to an encoding, if they were. `needs` are the inputs beside the image, `data`
    the digests of its splits, `course` how its training went.
    """

    task: Task
    edits: Mapping[str, Any]
    head: Mapping[str, npt.NDArray[Any]]
    kind: Head
    preprocessing: Preprocessing
    answers: Mapping[str, Answers]
    needs: Mapping[str, tuple[int, ...]]
    data: Mapping[str, str]
    course: Course
    unrounded: Answers | None = None


def write_inventories(inventories: Mapping[str, Inventory], directory: pathlib.Path) -> None:
    """Writes what was found among the users' own images, by task, if there are any."""
    if inventories:
        record = {task: known.to_json() for task, known in inventories.items()}
        files.write_bytes(directory / INVENTORY, json.dumps(record, indent=1).encode() + b"\n")


def shared_backbone(
    backbone: backbones.Loaded, weights: Weights, directory: pathlib.Path
) -> backbones.Loaded:
    """The backbone that the patches belong to: written out when it is not the one that came."""
    identity = fingerprint(weights)
    if identity == backbone.fingerprint:
        return backbone
    checkpoint = dataclasses.replace(
        backbone.checkpoint,
        weights=weights,
        head=None,
        predicts=None,
        source=f"{backbone.checkpoint.source}; extended or trained further here",
    )
    write_checkpoint(directory / SHARED_BACKBONE, checkpoint)
    return dataclasses.replace(
        backbone,
        name=checkpoint.table,
        checkpoint=checkpoint,
        fingerprint=identity,
    )


def write_task(
    trained: Trained,
    backbone: backbones.Loaded,
    network: Inference,
    settings: Settings,
    directory: pathlib.Path,
) -> report.Row:
    """Writes one task's patch file, reads it back through every check, and gives its figures.

    Where the test labels are hidden, the predictions go to `predictions/TASK.csv` instead.
    """
    task, edits, head, answers = trained.task, trained.edits, trained.head, trained.answers
    hidden = task.hidden_test_labels
    kind, outputs = trained.kind, len(task.labels)
    figures = {
        split: scoring.figures(kind, outputs, found)
        for split, found in answers.items()
        if not (hidden and split == "test")
    }
    scores = {split: own[kind.metric.score].value for split, own in figures.items()}
    preprocessing, needs = trained.preprocessing.to_json(), trained.needs
    contents = PatchContents(
        task=task.name,
        task_version=settings.patch_version or task.version,
        patch=with_defaults(settings.patch) if auxiliary_heads(head) or needs else settings.patch,
        backbone=backbone.name,
        fingerprint=backbone.fingerprint,
        norm=settings.recipe.norm,
        labels=task.labels,
        metric=kind.metric.score,
        scores=scores,
        preprocessing=preprocessing,
        parity=parity_vector(
            *(network, backbone.weights, edits, head, preprocessing, needs, kind.apply)
        ),
        edits=edits,
        head=head,
        encoding=settings.encoding,
        inputs=needs,
        words={name: words for name, words in task.words.items() if name in needs},
        head_kind=kind.kind,
        head_settings=kind.settings,
        data=trained.data,
        training=trained.course,
    )
    path = directory / f"{task.name}.patch"
    write_patch(path, contents)
    read_patch(
        path,
        shapes=backbone.shapes,
        features=backbone.network.table.features,
        fingerprint=backbone.fingerprint,
        check_parity=parity_check(network, backbone.weights),
    )
    if hidden and "test" in answers:
        _write_predictions(directory / "predictions" / f"{task.name}.csv", task, answers["test"])
    size = patch_size(contents)
    extractor = 4 * count_parameters(backbone.network.table)  # bytes, as the patch's float32
    return report.Row(
        task=task.name,
        validation_accuracy=scores["validation"],
        unrounded_accuracy=trained.unrounded and scoring.score(kind, outputs, trained.unrounded),
        metric=kind.metric.score,
        figures=figures,
        warnings=warnings(trained, [*scores], settings),
        test_accuracy=scores.get("test"),
        step=trained.course.step,
        patch_bytes=size.total,
        edit_bytes=size.edits,
        statistics_bytes=size.statistics,
        head_bytes=size.head,
        share=100 * size.edits / extractor,
        share_with_head=100 * (size.edits + size.head) / extractor,
        share_with_statistics=100 * (size.edits + size.head + size.statistics) / extractor,
    )


def warnings(trained: Trained, splits: Sequence[str], settings: Settings) -> list[str]:
    """What must be known beside the scores of these splits: classes that are never predicted."""
    name, labels = trained.task.name, trained.task.labels
    found = [
        warning
        for split in splits
        for warning in assessments.warnings(
            name, split, assessments.assessed(trained.kind, labels, trained.answers[split])
        )
    ]
    if found and settings.balance == "none":
        found.append("The setting balance=classes learns as if each class had as many images.")
    return found


def write_summary(
    rows: Sequence[report.Row],
    sizes: Sequence[int],
    directory: pathlib.Path,
    settings: Settings,
    called: str,
    command: str,
) -> None:
    """Writes `table.txt`, the plots and, last of all that a run writes, `results.csv`.

    `sizes` are of each row's images, in pixels; the patch is `called` so.
    """
    files.write_bytes(directory / "table.txt", (summary(rows) + "\n").encode())
    plots.plots(directory, rows, directory / METRICS)
    (directory / RESULTS).unlink(missing_ok=True)
    measurements = []
    for row, size in zip(rows, sizes, strict=True):
        figures = [
            ("validation", row.metric, row.validation_accuracy, "fraction"),
            ("test", row.metric, row.test_accuracy, "fraction"),
            *(
                (split, name, figure.value, figure.unit)
                for split, own in row.figures.items()
                for name, figure in own.items()
                if name != row.metric
            ),
            ("", "step", row.step, "steps"),
            ("", "patch", row.patch_bytes, "bytes"),
            ("", "share of extractor", row.share, "percent"),
            ("", f"validation {row.metric} lost to encoding", row.lost_to_encoding, "fraction"),
        ]
        measurements += [
            tidy.Measurement(
                task=row.task,
                backbone=settings.backbone,
                patch=called,
                setting=f"{size} px, {settings.recipe.steps} steps of {settings.groups} x "
                f"{settings.examples}, norm {settings.recipe.norm}, {settings.sampling}"
                + (f", {settings.head}" if settings.head else "")
                + ("" if settings.balance == "none" else f", balanced {settings.balance}")
                + ("" if settings.encoding == "float32" else f", {settings.encoding}")
                + (", temperature scaled" if settings.temperature_scaling else "")
                + _chosen(settings)
                + ("" if settings.share == 1 else f", {settings.share:g} of the training images")
                + (", shared weights trained" if settings.train_shared else "")
                + ("" if settings.scheduler == "unit" else f", {settings.scheduler}")
                + ("" if settings.gradients == "sum" else f", {settings.gradients}")
                + (f", {settings.recipe.distillation:g} distilled" if settings.teacher else "")
                + (
                    f", {matches:g} matched"
                    if (matches := settings.recipe.feature_matching)
                    else ""
                )
                + (", annealed" if settings.recipe.anneal_distillation else ""),
                seed=settings.seed,
                split=split,
                metric=metric,
                value=value,
                unit=unit,
                command=command,
            )
            for split, metric, value, unit in figures
            if value is not None
        ]
    tidy.append(directory / RESULTS, measurements)


def _chosen(settings: Settings) -> str:
    """Which of its steps a run ships, and how it may end early; nothing where it is the last."""
    return (
        (f", best of {settings.validations} steps" if settings.ships_best else "")
        + (f", patience {settings.patience}" if settings.patience else "")
        + (f", {settings.minutes:g} minutes" if settings.minutes else "")
    )


def summary(rows: Sequence[report.Row]) -> str:
    """The table of a run; under that of all ten decathlon domains, their score on validation."""
    domains = {
        row.task.removeprefix(DECATHLON): 100 * row.validation_accuracy
        for row in rows
        if row.task.startswith(DECATHLON)
    }
    lines = [report.table(rows)]
    if set(domains) == set(HIGHEST_ERROR):
        lines.append(
            f"\nDecathlon score on validation: {decathlon_score(domains):.0f} of 10,000 "
            "(published scores are on the hidden test labels: send in predictions/)."
        )
    return "\n".join(lines)


def _write_predictions(path: pathlib.Path, task: Task, answers: Answers) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "label", "class"])
    guesses = answers.predictions[linear.LOGITS].argmax(axis=1)
    for name, label in zip(answers.names, guesses, strict=True):
        writer.writerow([name, int(label), task.labels[label]])
    files.write_bytes(path, text.getvalue().encode())
