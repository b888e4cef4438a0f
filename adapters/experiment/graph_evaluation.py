"""Scores a patch file on an exported graph, beside JAX."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from adapters.experiment import evaluation, graph_runtimes, scoring
from adapters.heads.contract import Arrays, Head
from adapters.heads.linear import LOGITS
from adapters.heads.registry import head_of
from adapters.inference.compiled import Answers, joined, predictions
from adapters.preprocessing import Preprocessing, normalise
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.edits import apply_edits
from adapters.training.tidy import Measurement
from tasks import pipeline
from tasks.task import Task


class Comparison(NamedTuple):
    """A patch's answers to one split, by a graph and by JAX.

    Attributes:
      task: which.
      contents: of the patch file.
      graph: what kind of graph: `LiteRT int8 inputs`, say.
      split: which.
      accuracy: the task's metric of the graph's answers.
      in_jax: the same of JAX's.
      same: how far answers are the same, 1 where all are; None of a head that tells numbers.
      difference: the largest of a logit.
      largest: the largest of JAX's logits, without its sign.
      images: how many.
    """

    task: Task
    contents: PatchContents
    graph: str
    split: str
    accuracy: float
    in_jax: float
    same: float | None
    difference: float
    largest: float
    images: int

    def __str__(self) -> str:
        same = "" if self.same is None else f", {100 * self.same:.2f} % the same answer"
        return (
            f"{self.task.name}, {self.graph}: {self.split} {self.contents.metric} "
            f"{100 * self.accuracy:.4f} % of {self.images} ({100 * self.in_jax:.4f} % in JAX"
            f"{same}, logits differ by up to "
            f"{self.difference:.1e}, {self.difference / self.largest:.1e} of the largest)"
        )

    def rows(self, command: str) -> list[Measurement]:
        """Results of this comparison."""
        size = Preprocessing.from_json(self.contents.preprocessing).size
        metric = self.contents.metric
        figures = (
            (metric, self.accuracy, "fraction"),
            (f"{metric} in JAX", self.in_jax, "fraction"),
            (f"{metric} difference", round(self.accuracy - self.in_jax, 12), "fraction"),
            *([] if self.same is None else [("same answers as JAX", self.same, "fraction")]),
            ("largest difference of a logit", _short(self.difference), "logit"),
            (
                "largest difference to JAX",
                _short(self.difference / self.largest),
                "of the largest logit",
            ),
        )
        return [
            Measurement(
                task=self.task.name,
                backbone=self.contents.backbone,
                patch=self.contents.patch,
                setting=f"{self.graph}, {size} px",
                seed=0,
                split=self.split,
                metric=name,
                value=value,
                unit=unit,
                command=command,
            )
            for name, value, unit in figures
        ]


def compare(
    path: str,
    graph: str,
    split: str,
    task_name: str | None,
    weights: str | None,
    data_dir: str | None,
    *,
    node: bool = False,
) -> Comparison:
    """Runs the patch file at `path` on an exported graph and in JAX, on every image of a split.

    `node` runs an ONNX graph in Node. Raises GraphError, GraphFileError, UnsupportedPatchError, and
    what `evaluation.evaluate` does.
    """
    patch = evaluation.open_patch(path, split, task_name, weights, data_dir=data_dir)
    contents, task, preprocessing = patch.contents, patch.task, patch.preprocessing
    check_without_look(contents)
    kind, run = graph_runtimes.opened(graph, contents, patch.backbone, patch.network, node=node)
    patched, head = apply_edits(patch.backbone.weights, contents.edits), head_of(contents)
    wanted: list[Arrays] = []
    got: list[Arrays] = []
    targets: list[Arrays] = []
    for batch in pipeline.evaluation_batches(
        task, split, preprocessing, patch.network.examples, data_dir=data_dir
    ):
        images, real = normalise(batch.inputs["image"], preprocessing), batch.mask
        said = predictions(patch.network, patched, contents.head, {"image": images}, head.apply)
        for parts, rows in zip(
            (wanted, got, targets), (said, run(images), batch.targets), strict=True
        ):
            parts.append({name: each[real] for name, each in rows.items()})
    theirs, ours, truth = map(joined, (wanted, got, targets))
    score, in_jax = (
        scoring.score(head, len(contents.labels), Answers([], truth, each))
        for each in (ours, theirs)
    )
    count = len(ours[LOGITS])
    agreements = [
        _decoded(head, contents.labels, ours, row).agreement(
            _decoded(head, contents.labels, theirs, row)
        )
        for row in range(count)
    ]
    return Comparison(
        task,
        contents,
        kind,
        split,
        score,
        in_jax,
        same=None if None in agreements else float(np.mean(agreements)),
        difference=float(np.abs(ours[LOGITS] - theirs[LOGITS]).max()),
        largest=float(np.abs(theirs[LOGITS]).max()),
        images=count,
    )


def _decoded(head: Head, labels: Sequence[str], predictions: Arrays, row: int) -> Any:
    return head.decode(labels, {name: rows[row] for name, rows in predictions.items()})


def _short(value: float) -> float:
    return float(f"{value:.3g}")
