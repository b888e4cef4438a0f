"""Scores a patch file on an exported graph, beside JAX."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.device import signatures
from adapters.device.engine import Engine
from adapters.device.export import own_weights
from adapters.device.feeds import check_size, feed, padded_head, patch_inputs
from adapters.device.graph_file import read_graph
from adapters.device.inference import Answers, Inference, logits
from adapters.device.onnx.session import Session
from adapters.errors import ModelPatchError
from adapters.preprocessing import Preprocessing, normalise
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.edits import apply_edits
from adapters.training.tidy import Measurement
from launch import backbones, evaluation, scoring
from tasks import pipeline
from tasks.task import Task

Array = npt.NDArray[Any]
Run = Callable[[Array], Array]


class GraphError(ModelPatchError):
    """A graph that a patch cannot be evaluated on."""


class Comparison(NamedTuple):
    """A patch's answers to one split, by a graph and by JAX.

    Attributes:
      task: which.
      contents: of the patch file.
      graph: what kind of graph: `LiteRT int8 inputs`, say.
      split: which.
      accuracy: the task's metric of the graph's answers.
      in_jax: the same of JAX's.
      same: the share of images with the same answer.
      difference: the largest of a logit, as a part of JAX's largest.
      images: how many.
    """

    task: Task
    contents: PatchContents
    graph: str
    split: str
    accuracy: float
    in_jax: float
    same: float
    difference: float
    images: int

    def __str__(self) -> str:
        return (
            f"{self.task.name}, {self.graph}: {self.split} {self.contents.metric} "
            f"{100 * self.accuracy:.4f} % of {self.images} ({100 * self.in_jax:.4f} % in JAX, "
            f"{100 * self.same:.2f} % the same answer, logits differ by up to "
            f"{self.difference:.1e} of the largest)"
        )

    def rows(self, command: str) -> list[Measurement]:
        """Results of this comparison."""
        size = Preprocessing.from_json(self.contents.preprocessing).size
        figures = (
            ("accuracy", self.accuracy, "fraction"),
            ("accuracy in JAX", self.in_jax, "fraction"),
            ("same answers as JAX", self.same, "fraction"),
            ("largest difference to JAX", float(f"{self.difference:.3g}"), "of the largest logit"),
        )
        return [
            Measurement(
                task=self.task.name,
                backbone=self.contents.backbone,
                patch=self.contents.patch,
                setting=f"{self.graph}, {size} px",
                seed=0,
                split=self.split,
                metric=metric,
                value=value,
                unit=unit,
                command=command,
            )
            for metric, value, unit in figures
        ]


def compare(
    path: str,
    graph: str,
    split: str,
    task_name: str | None,
    weights: str | None,
    data_dir: str | None,
) -> Comparison:
    """Runs the patch file at `path` on an exported graph and in JAX, on every image of a split.

    Raises GraphError, GraphFileError, UnsupportedPatchError, and what `evaluation.evaluate` does.
    """
    patch = evaluation.open_patch(path, split, task_name, weights)
    contents, task, preprocessing = patch.contents, patch.task, patch.preprocessing
    check_without_look(contents)
    opened = _onnx if pathlib.Path(graph).suffix == ".onnx" else _litert
    kind, run = opened(graph, contents, patch.backbone, patch.network)
    patched = apply_edits(patch.backbone.weights, contents.edits)
    wanted, got, labels, names = [], [], [], []
    for batch in pipeline.evaluation_batches(
        task, split, preprocessing, patch.network.examples, data_dir=data_dir
    ):
        images, real = normalise(batch["image"], preprocessing), batch["mask"]
        wanted.append(logits(patch.network, patched, contents.head, images)[real])
        got.append(run(images)[real])
        labels.append(batch["label"][real])
        names += [name for name, kept in zip(batch["name"], real, strict=True) if kept]
    theirs, ours, truth = map(np.concatenate, (wanted, got, labels))
    accuracy, in_jax = (
        scoring.score(task, Answers(names, truth, each.argmax(axis=1))) for each in (ours, theirs)
    )
    return Comparison(
        task,
        contents,
        kind,
        split,
        accuracy,
        in_jax,
        same=float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1))),
        difference=float(np.abs(ours - theirs).max() / np.abs(theirs).max()),
        images=len(truth),
    )


def _litert(
    path: str, contents: PatchContents, backbone: backbones.Loaded, network: Inference
) -> tuple[str, Run]:
    graph = read_graph(path)
    _check(path, graph.fingerprint, backbone.fingerprint)
    check_size(contents.task, network.size, graph.sizes)
    made = feed(graph, contents.edits, "auto")
    engine = Engine(made.flatbuffer or graph.flatbuffer, threads=1)
    inputs = {**made.inputs, **padded_head(contents.task, contents.head, graph)}
    batch = max((count for count in graph.batches if network.examples % count == 0), default=0)
    if not batch:
        raise GraphError(
            f"{path} takes {', '.join(map(str, graph.batches))} images in a call, none of which "
            f"divides {network.examples}. Export it with --batches=1."
        )
    signature = signatures.signature(made.kind, network.size, batch)

    def run(images: Array) -> Array:
        parts = [
            engine.run(
                signature,
                {**inputs, signatures.IMAGES: images[start : start + batch]},
                signatures.LOGITS,
            )
            for start in range(0, len(images), batch)
        ]
        return np.concatenate(parts)[:, : len(contents.labels)]

    kernels = "int8" if graph.kernels_are_int8 else "float32"
    return f"LiteRT {kernels}, {'inputs' if made.flatbuffer is None else 'folded'}", run


def _onnx(
    path: str, contents: PatchContents, backbone: backbones.Loaded, network: Inference
) -> tuple[str, Run]:
    session = Session(pathlib.Path(path).read_bytes(), threads=1)
    about = session.about
    if "inputs" not in about:
        raise GraphError(f"{path} takes no patches: give what launch/export --backbone wrote.")
    _check(path, about["fingerprint"], backbone.fingerprint)
    check_size(contents.task, network.size, (about["size"],))
    weights = own_weights(backbone.network, backbone.weights)
    inputs = patch_inputs(weights, backbone.checkpoint.epsilon, contents.edits, about["inputs"])
    inputs |= {signatures.HEAD_W: contents.head["w"], signatures.HEAD_B: contents.head["b"]}
    return "ONNX Runtime, inputs", lambda images: session.run({**inputs, signatures.IMAGES: images})


def _check(path: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise GraphError(f"{path} holds other weights than the patch's backbone: export it again.")
