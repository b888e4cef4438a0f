"""Scores a patch file on an exported graph, or wherever else it answers, beside JAX."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from adapters.experiment import evaluation, graph_runtimes, scoring
from adapters.experiment.evaluation import Opened
from adapters.heads.contract import Arrays, Head
from adapters.heads.linear import LOGITS
from adapters.heads.registry import head_of
from adapters.inference.compiled import Answers, joined, predictions
from adapters.preprocessing import Preprocessing, normalise
from adapters.runtime.device import network_input
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.edits import apply_edits
from adapters.training.tidy import Measurement
from tasks import pipeline
from tasks.task import Task


class Comparison(NamedTuple):
    """A patch's answers to one split, by a graph or a server and by JAX.

    Attributes:
      task: which.
      contents: of the patch file.
      graph: what answered: `LiteRT int8, inputs`, say, or `server`.
      split: which.
      accuracy: the task's metric of its answers.
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

    The graph gets image files, made ready as a device does. `node` runs an ONNX graph in Node.
    Raises GraphError, GraphFileError, UnsupportedPatchError, and what `evaluation.evaluate` does.
    """
    patch = evaluation.open_patch(path, split, task_name, weights, data_dir=data_dir)
    check_without_look(patch.contents)
    kind, run = graph_runtimes.opened(
        graph, patch.contents, patch.backbone, patch.network, node=node
    )

    def ask(files: Sequence[bytes]) -> Arrays:
        images = [network_input(file, patch.preprocessing) for file in files]
        filled = np.zeros((patch.network.examples, *images[0].shape), np.float32)
        filled[: len(images)] = images
        return {name: rows[: len(images)] for name, rows in run(filled).items()}

    return beside_jax(patch, kind, ask, split, data_dir)


def beside_jax(
    patch: Opened,
    where: str,
    ask: Callable[[Sequence[bytes]], Arrays],
    split: str,
    data_dir: str | None,
) -> Comparison:
    """Holds whoever answers about image files against JAX, on every image of a split.

    Args:
      patch: whose answers they are.
      where: what results call whoever is asked.
      ask: gives the predictions {name: [N, ...]} of N image files.
      split: of the patch's task.
      data_dir: folder with prepared TFDS data sets.
    """
    contents, task, preprocessing = patch.contents, patch.task, patch.preprocessing
    patched, head = apply_edits(patch.backbone.weights, contents.edits), head_of(contents)
    files = pipeline.evaluation_files(task, split, preprocessing.size, data_dir=data_dir)
    wanted: list[Arrays] = []
    got: list[Arrays] = []
    targets: list[Arrays] = []
    for batch in pipeline.evaluation_batches(
        task, split, preprocessing, patch.network.examples, data_dir=data_dir
    ):
        images, real = normalise(batch.inputs["image"], preprocessing), batch.mask
        said = predictions(patch.network, patched, contents.head, {"image": images}, head.apply)
        got.append(ask(list(itertools.islice(files, int(real.sum())))))
        for parts, rows in ((wanted, said), (targets, batch.targets)):
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
        where,
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
