"""What a classifier alone reaches on the frozen network: the least that a patch should give.

The classifier is fitted by ridge regression to labels of some training images, in closed form: it
costs a pass over them and no training.
"""

from collections.abc import Collection, Mapping

import numpy as np

from adapters.experiment import scoring
from adapters.experiment.scoring import Array
from adapters.heads.classification import LABEL
from adapters.inference.compiled import Inference
from adapters.preprocessing import Preprocessing, normalise
from tasks import pipeline
from tasks.task import Task

IMAGES = 512
RIDGE = 0.1  # of the mean square of the features, added to it in every direction


def accuracy_alone(
    network: Inference,
    weights: Mapping[str, Mapping[str, Array]],
    task: Task,
    preprocessing: Preprocessing,
    data_dir: str | None,
    inputs: Collection[str] = (),
) -> float:
    """The share of validation images that a classifier of frozen features gets right, or more.

    It sees `IMAGES` training images, repeated where there are fewer; one that sees all may do
    better.

    Args:
      network: compiled.
      weights: of the backbone, with a patch that has learned nothing.
      task: a classifier's.
      preprocessing: of its images.
      data_dir: folder with prepared TFDS data sets.
      inputs: names of those that the network reads beside the image.
    """
    batches = pipeline.training_iterator(
        *(task, preprocessing, network.examples, 0),
        augmentation="none",
        data_dir=data_dir,
        inputs=inputs,
    )
    features, labels = [], []
    for _ in range(max(IMAGES // network.examples, 1)):
        batch = dict(next(batches))
        labels.append(batch.pop(LABEL))
        batch["image"] = normalise(batch["image"], preprocessing)
        features.append(np.asarray(network.features(weights, batch)))
    known = np.eye(len(task.labels), dtype=np.float32)[np.concatenate(labels)]
    head = ridge(np.concatenate(features), known)
    kind = task.made_head
    answers = scoring.predict(
        network, weights, head, kind, task, "validation", preprocessing, data_dir, inputs
    )
    return scoring.score(kind, len(task.labels), answers)


def ridge(features: Array, targets: Array) -> dict[str, Array]:
    """A head, `w` [F, outputs] and `b` [outputs], from features [N, F] to targets [N, outputs].

    Hoerl and Kennard, Technometrics 12(1), 1970, in its dual form: there are few examples.
    """
    mean, centre = features.mean(axis=0), targets.mean(axis=0)
    centred = features - mean
    gram = centred @ centred.T
    gram[np.diag_indices_from(gram)] += (
        RIDGE * np.trace(gram) / len(gram) + np.finfo(np.float32).eps
    )
    w = centred.T @ np.linalg.solve(gram, targets - centre)
    return {"w": w, "b": centre - mean @ w}
