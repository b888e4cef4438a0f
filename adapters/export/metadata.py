"""What LiteRT's tools read in a `.tflite`: what a classifier takes, gives, and calls its classes.

TensorFlow Lite Metadata, by `metadata_schema.fbs` of MediaPipe (Apache-2.0): a flatbuffer of its
own, which the graph holds as one more constant, and after the graph a zip archive with the files
that it names, here the labels. Runtimes look at neither. Needs LiteRT, whose builder of
flatbuffers this writes with.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from adapters.export import aligned
from adapters.preprocessing import Preprocessing

LABELS = "labels.txt"  # a label a line
_ENTRY, _KIND, _VERSION = b"TFLITE_METADATA", b"M001", "1.0.0"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # so that equal graphs are equal files
# Of the schema's unions and enums.
_IMAGE, _NORMALISATION, _RGB, _AXIS_LABELS = 2, 1, 1, 2


def described(
    flatbuffer: bytes,
    name: str,
    version: str,
    labels: Sequence[str],
    preprocessing: Preprocessing,
) -> bytes:
    """The same graph with its metadata.

    Args:
      flatbuffer: of one signature, from images to a number for each label.
      name: of the task.
      version: of the patch.
      labels: in the order of the numbers.
      preprocessing: whose mean and deviation, of RGB pixels in 0..255, are stated.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(flatbuffer))
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = _ENTRY, len(model.buffers)
    buffer.data = np.frombuffer(_metadata(name, version, preprocessing), np.uint8)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    file = io.BytesIO(aligned.written(model))
    with zipfile.ZipFile(file, "a") as archive:
        text = "".join(f"{label}\n" for label in labels)
        archive.writestr(zipfile.ZipInfo(LABELS, _EPOCH), text.encode())
    return file.getvalue()


def _metadata(name: str, version: str, preprocessing: Preprocessing) -> bytes:
    builder = schema.flatbuffers.Builder(1024)
    normalisation = _table(
        builder,
        {0: _floats(builder, preprocessing.mean), 1: _floats(builder, preprocessing.std)},
    )
    unit = _table(builder, {1: normalisation}, {0: _NORMALISATION})
    content = _table(builder, {1: _table(builder, {}, {0: _RGB})}, {0: _IMAGE})
    images = _table(
        builder,
        {
            0: builder.CreateString("images"),
            1: builder.CreateString(_wanted(preprocessing)),
            3: content,
            4: _vector(builder, [unit]),
        },
    )
    file = {
        0: builder.CreateString(LABELS),
        1: builder.CreateString("The classes, in the order of the probabilities."),
    }
    labels = _table(builder, file, {2: _AXIS_LABELS})
    probabilities = _table(
        builder, {0: builder.CreateString("probabilities"), 6: _vector(builder, [labels])}
    )
    graph = _table(builder, {2: _vector(builder, [images]), 3: _vector(builder, [probabilities])})
    model = {
        0: builder.CreateString(name),
        2: builder.CreateString(version),
        3: _vector(builder, [graph]),
        7: builder.CreateString(_VERSION),
    }
    builder.Finish(_table(builder, model), _KIND)
    return bytes(builder.Output())


def _wanted(preprocessing: Preprocessing) -> str:
    """How images were made ready where the task was trained, for people."""
    size, fit = preprocessing.size, preprocessing.fit
    return f"RGB, {size} x {size}, fit {fit}, downscaled bilinearly over every covered pixel."


def _table(builder: Any, offsets: Mapping[int, int], codes: Mapping[int, int] | None = None) -> int:
    """A table whose fields, by their numbers, are at offsets, or are codes of a byte."""
    codes = codes or {}
    builder.StartObject(max([*offsets, *codes]) + 1)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, code in codes.items():
        builder.PrependInt8Slot(field, code, 0)
    return int(builder.EndObject())


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
