"""Telling TensorFlow's files apart: checkpoints of several files by name, single ones by content.

- Checkpoints: `NAME.index` with `NAME.data-00000-of-00001` (`bundle.py`).
- Frozen graphs: `.pb` (`graph.py`).
"""

import pathlib
import re

from adapters.backbones.stored import Stored
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.graph import read_graph
from adapters.backbones.tensorflow.table import MAGIC

_PART = re.compile(r"(?<=.)\.(index|meta|data-\d{5}-of-\d{5})$")
_GRAPH = b"\n"  # the first field of a GraphDef: its nodes
_SAVED_MODEL = b"\x08\x01\x12"  # the schema's number, then what was saved


def checkpoint_prefix(path: pathlib.Path) -> pathlib.Path | None:
    """What a checkpoint's files have in common; None when `path` names no checkpoint.

    A checkpoint may be named as TensorFlow does, without an ending, or by any of its files.
    """
    if _PART.search(path.name):
        return path.with_name(_PART.sub("", path.name))
    if not path.exists() and path.with_name(f"{path.name}.index").exists():
        return path
    return None


def is_tensorflow_file(data: bytes) -> bool:
    """Whether a file's content begins or ends as one of TensorFlow's."""
    return data.startswith((_GRAPH, _SAVED_MODEL)) or data.endswith(MAGIC)


def read_tensorflow_file(data: bytes) -> dict[str, Stored]:
    """Gives the tensors of a single file by name: a frozen graph. Raises TensorFlowFileError."""
    if data.endswith(MAGIC):
        raise TensorFlowFileError(
            "the file is a checkpoint in TensorFlow's first format, or an index under another "
            "name: give NAME.index with its .data files beside it, or load the checkpoint with "
            "TensorFlow and save it with tf.compat.v1.train.Saver."
        )
    if data.startswith(_SAVED_MODEL):
        raise TensorFlowFileError(
            "the file is a SavedModel: give its variables/variables.index instead."
        )
    return read_graph(data)
