"""How well one task's patched network does on a split: the one place that computes a score."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from adapters.inference.compiled import Answers, Inference, answer
from adapters.preprocessing import Preprocessing, normalise
from tasks import metrics, pipeline
from tasks.task import Task

Array = npt.NDArray[Any]


def predict(
    network: Inference,
    weights: Mapping[str, Mapping[str, Array]],
    head: Mapping[str, Array],
    task: Task,
    split: str,
    preprocessing: Preprocessing,
    data_dir: str | None,
) -> Answers:
    """What the patched network says of every image of a split."""
    batches = pipeline.evaluation_batches(
        task, split, preprocessing, network.examples, data_dir=data_dir
    )
    return answer(network, weights, head, batches, lambda pixels: normalise(pixels, preprocessing))


def score(task: Task, answers: Answers) -> float:
    """The task's own metric of the answers."""
    confusion = metrics.confusion_counts(answers.labels, answers.predictions, len(task.labels))
    return metrics.METRICS[task.metric](confusion)
