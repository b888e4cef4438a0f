"""A patch file that a run's tasks begin with."""

import hashlib
import os
from collections.abc import Sequence

from absl import logging

from adapters.experiment.backbones import Loaded
from adapters.heads.together import TaskHeads
from adapters.store.contents import PatchContents
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.training.starting import KeptRows
from tasks.task import Task


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


def kept_rows(
    contents: PatchContents, tasks: Sequence[Task], heads: TaskHeads
) -> list[KeptRows | None]:
    """What each task keeps of the file's head: the outputs of labels that both have.

    Nothing of a head of another kind, of one that is no matrix product, or of one whose numbers
    were scaled by what it learned of its targets.
    """
    old = {label: place for place, label in enumerate(contents.labels)}
    found: list[KeptRows | None] = []
    for task, head in zip(tasks, heads.heads, strict=True):
        places = [(new, old[label]) for new, label in enumerate(task.labels) if label in old]
        alike = head.kind == contents.head_kind and head.together == "wide"
        keeps = alike and task.made_head.after_training_targets is None
        found.append(KeptRows(contents.head, places) if keeps else None)
        logging.info(
            "%s begins with the patch of %s; of its %d labels %d are there already",
            *(task.name, contents.task, len(task.labels), len(places) if keeps else 0),
        )
    return found
