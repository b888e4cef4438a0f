"""How well one task's patched network does on a split: the one place that computes a score."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy.typing as npt

from adapters.heads.contract import Figure, Head
from adapters.inference.compiled import Answers, Inference, answer
from adapters.preprocessing import Preprocessing, normalise
from tasks import pipeline
from tasks.task import Task

Array = npt.NDArray[Any]


def predict(
    network: Inference,
    weights: Mapping[str, Mapping[str, Array]],
    head: Mapping[str, Array],
    kind: Head,
    task: Task,
    split: str,
    preprocessing: Preprocessing,
    data_dir: str | None,
    inputs: Collection[str] = (),
) -> Answers:
    """What the patched network says of every image of a split.

    Args:
      network: compiled, for the maps that the head reads.
      weights: patched.
      head: the head's weights.
      kind: the head.
      task, split, preprocessing, data_dir: of the images.
      inputs: names of those that the patch reads beside the image.
    """
    batches = pipeline.evaluation_batches(
        task, split, preprocessing, network.examples, data_dir=data_dir, inputs=inputs
    )
    return answer(
        network,
        weights,
        head,
        batches,
        lambda pixels: normalise(pixels, preprocessing),
        kind.apply,
    )


def figures(head: Head, outputs: int, answers: Answers) -> dict[str, Figure]:
    """All that the head's metric says of the answers, by name.

    Args:
      head: as the file has it, with what was chosen on validation.
      outputs: how many labels the task has.
      answers: of a whole split.
    """
    state = head.metric.update(head.metric.init(outputs), answers.predictions, answers.targets)
    return head.metric.result(state)


def score(head: Head, outputs: int, answers: Answers) -> float:
    """The one figure that counts."""
    return figures(head, outputs, answers)[head.metric.score].value
