"""What is finished that a run's tasks begin with: a patch file, or a backbone's own predictors."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from absl import logging

from adapters.experiment.backbones import Loaded
from adapters.heads.contract import Head
from adapters.heads.registry import from_spec, head_of
from adapters.heads.together import TaskHeads
from adapters.store.contents import PatchContents
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.training.starting import KeptRows
from tasks.task import Task


class Finished(NamedTuple):
    """A head that is trained.

    Attributes:
      name: what it is of, in words.
      head: its kind with its settings.
      labels: in its order.
      weights: its own.
      whole: whether tasks begin with more than a head: with a patch's edits.
    """

    name: str
    head: Head
    labels: Sequence[str]
    weights: Mapping[str, npt.NDArray[np.float32]]
    whole: bool


def of_patch(contents: PatchContents) -> Finished:
    """The head of a patch file."""
    name = f"the patch of {contents.task}"
    return Finished(name, head_of(contents), contents.labels, contents.head, whole=True)


def of_backbone(backbone: Loaded) -> Finished | None:
    """The predictors that a published detector brings; None of any other backbone."""
    checkpoint = backbone.checkpoint
    if checkpoint.predicts is None or checkpoint.head is None:
        return None
    told = checkpoint.predicts
    name = f"the predictors of {backbone.name}"
    return Finished(name, from_spec(told.head), told.labels, checkpoint.head, whole=False)


def read(path: str | os.PathLike[str], backbone: Loaded) -> tuple[PatchContents, str]:
    """A patch file for this backbone, and the sha256 of its bytes. Raises PatchFileError."""
    data = read_bytes(path)
    with naming(path):
        contents = decode_patch(
            data,
            shapes=backbone.shapes,
            features=backbone.network.table.features,
            fingerprint=backbone.fingerprint,
        )
    return contents, hashlib.sha256(data).hexdigest()


def kept_rows(finished: Finished, tasks: Sequence[Task], heads: TaskHeads) -> list[KeptRows | None]:
    """What each task keeps of a finished head: the outputs of labels that both have.

    Nothing of a head of another kind, of one that computes other things where it is no matrix
    product, or of one whose numbers were scaled by what it learned of its targets.
    """
    old = {label: place for place, label in enumerate(finished.labels)}
    found: list[KeptRows | None] = []
    for task, head in zip(tasks, heads.heads, strict=True):
        places = [(new, old[label]) for new, label in enumerate(task.labels) if label in old]
        alike = head.kind == finished.head.kind and (
            head.together == "wide"
            or (head.begun is not None and head.computes == finished.head.computes)
        )
        keeps = alike and task.made_head.after_training_targets is None
        found.append(KeptRows(finished.weights, places) if keeps else None)
        if finished.whole or (keeps and places):
            logging.info(
                "%s begins with %s; of its %d labels %d are there already",
                *(task.name, finished.name, len(task.labels), len(places) if keeps else 0),
            )
    return found
