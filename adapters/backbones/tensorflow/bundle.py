"""TensorFlow's checkpoints: `NAME.index` and `NAME.data-00000-of-00001`, the tensor bundle.

The index says for each tensor in which data file it lies and where, with its checksum
(tensorflow/core/util/tensor_bundle). Tested against files that TensorFlow wrote.
"""

import functools
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from adapters.backbones.stored import Stored, Tree
from adapters.backbones.tensorflow import checksum
from adapters.backbones.tensorflow.elements import element, widened
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.backbones.tensorflow.messages import parse, shape
from adapters.backbones.tensorflow.table import read_table
from adapters.backbones.tensorflow.variables import variables
from adapters.shown import shown

INDEX_LIMIT = 1 << 22  # bytes; MobileNetV3's, with all variables of its training, has 100,000
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"


def read_bundle(prefix: str | os.PathLike[str]) -> Tree:
    """Gives a network's tensors by name, in the index's order; averages apart, if there are any.

    Args:
      prefix: the path up to `.index`. Every data file must lie beside it, whole.

    Raises TensorFlowFileError; OSError when the index cannot be opened.
    """
    index = pathlib.Path(f"{prefix}.index")
    if index.stat().st_size > INDEX_LIMIT:
        raise TensorFlowFileError(f"{index} has more than {INDEX_LIMIT} bytes: refused.")
    entries = read_table(index.read_bytes())
    header = parse("BundleHeader", entries.pop(b"", b""), f"{index}'s header")
    if header.endianness:
        raise TensorFlowFileError(f"{index} was written on a big-endian machine: not read here.")
    shards = _shards(prefix, header.num_shards)
    described = _described(entries, [shard.stat().st_size for shard in shards])
    found = {
        title: {
            name: _stored(key, described[key], shards[described[key].shard_id])
            for name, key in names.items()
        }
        for title, names in variables(described).items()
    }
    return found if len(found) > 1 else found["variables"]


def _shards(prefix: str | os.PathLike[str], count: int) -> list[pathlib.Path]:
    found: list[pathlib.Path] = []
    for number in range(count):
        found.append(pathlib.Path(f"{prefix}.data-{number:05d}-of-{count:05d}"))
        if not found[-1].is_file():
            raise TensorFlowFileError(
                f"{found[-1]} is missing: a checkpoint is its .index and every .data file, side "
                "by side."
            )
    return found


def _described(entries: Mapping[bytes, bytes], sizes: list[int]) -> dict[str, Any]:
    """Every entry by name, once all of them are known to lie within their files, and apart."""
    described: dict[str, Any] = {}
    for key, value in entries.items():
        if key.startswith(b"\0"):  # a slice of a tensor, whose own entry says that it has slices
            continue
        name = key.decode(
            "latin-1"
        )  # TensorFlow's names are ASCII; damaged ones must stay distinct
        if name == _OBJECTS:
            raise TensorFlowFileError(
                "the checkpoint was written by tf.train.Checkpoint, which names tensors after "
                "Python objects: save the variables with tf.compat.v1.train.Saver."
            )
        entry = parse("BundleEntry", value, f"the entry of {shown(name)}")
        if entry.slices:
            raise TensorFlowFileError(
                f"{shown(name)} was saved in slices, by a partitioner: load it with TensorFlow and "
                "save it whole."
            )
        if not 0 <= entry.shard_id < len(sizes):
            raise TensorFlowFileError(
                f"{shown(name)} lies in data file {entry.shard_id}, but there are {len(sizes)}: "
                "the index is damaged."
            )
        if entry.offset < 0 or not 0 <= entry.size <= sizes[entry.shard_id] - entry.offset:
            raise TensorFlowFileError(
                f"{shown(name)} reaches past the end of data file {entry.shard_id}, which is cut "
                "short: fetch the checkpoint anew."
            )
        described[name] = entry
    if sum(entry.size for entry in described.values()) > sum(sizes):
        raise TensorFlowFileError("tensors lie on top of each other: the index is damaged.")
    return described


def _stored(name: str, entry: Any, path: pathlib.Path) -> Stored:
    kept = element(entry.dtype, name)
    sizes = shape(entry.shape, name)
    if math.prod(sizes) * kept.itemsize != entry.size:
        raise TensorFlowFileError(
            f"{shown(name)} has shape {list(sizes)} but {entry.size} bytes: the index is damaged."
        )
    read = functools.partial(_values, name, entry, path)
    return Stored(sizes, widened(np.empty(0, kept), entry.dtype).dtype, read)


def _values(name: str, entry: Any, path: pathlib.Path) -> np.ndarray:
    with open(path, "rb") as file:
        file.seek(entry.offset)
        data = file.read(entry.size)
    if len(data) != entry.size or checksum.masked(data) != entry.crc32c:
        raise TensorFlowFileError(
            f"{shown(name)} has not its checksum: {path} is damaged. Fetch the checkpoint anew."
        )
    values = np.frombuffer(data, element(entry.dtype, name))
    return widened(values, entry.dtype).reshape(shape(entry.shape, name))
