"""A LiteRT graph, as objects of its schema, back in bytes. Needs LiteRT."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_ALIGNMENT = 16  # of constants, by LiteRT's schema


def written(model: Any) -> bytes:
    """The `.tflite` of a `ModelT`, each constant where the schema wants it."""
    model.buffers = [_Aligned(each.data, each.offset, each.size) for each in model.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


class _Aligned(schema.BufferT):
    """A constant that is written where the schema wants it: the generated writer aligns nothing."""

    def Pack(self, builder: Any) -> int:  # noqa: N802
        if self.data is None:
            return int(super().Pack(builder))
        content = np.asarray(self.data, np.uint8).tobytes()
        builder.StartVector(1, len(content), _ALIGNMENT)
        builder.head = builder.Head() - len(content)
        builder.Bytes[builder.Head() : builder.Head() + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))
