"""The few protocol buffers of TensorFlow's that are read, with the few of their fields.

Numbers and types are those of tensorflow/core: `protobuf/tensor_bundle.proto`,
`framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto`. Enumerations are read as
integers, maps as what they are on the wire, repeated pairs; fields not listed are passed over.
"""

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from adapters import archives
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.shown import shown

_PACKAGE = "modelpatch"
RANK_LIMIT = 8  # a MobileNet's tensors have up to four axes
_FIELDS_LIMIT = 1 << 19  # two bytes may be a field, and take a hundred once they are read
# Field name, number and type; `*`: repeated. A type with a capital is another message.
_MESSAGES = {
    "BundleHeader": (("num_shards", 1, "int32"), ("endianness", 2, "int32")),
    "BundleEntry": (
        ("dtype", 1, "int32"),
        ("shape", 2, "Shape"),
        ("shard_id", 3, "int32"),
        ("offset", 4, "int64"),
        ("size", 5, "int64"),
        ("crc32c", 6, "fixed32"),
        ("slices", 7, "*Slice"),
    ),
    "Slice": (),
    "Shape": (("dim", 2, "*Dimension"), ("unknown_rank", 3, "bool")),
    "Dimension": (("size", 1, "int64"),),
    "Graph": (("node", 1, "*Node"),),
    "Node": (
        ("name", 1, "string"),
        ("op", 2, "string"),
        ("input", 3, "*string"),
        ("attr", 5, "*Attribute"),
    ),
    "Attribute": (("key", 1, "string"), ("value", 2, "AttributeValue")),
    "AttributeValue": (("tensor", 8, "Tensor"),),
    "Tensor": (
        ("dtype", 1, "int32"),
        ("shape", 2, "Shape"),
        ("content", 4, "bytes"),
        ("float_val", 5, "*float"),
        ("double_val", 6, "*double"),
        ("half_val", 13, "*int32"),
    ),
}


def parse(name: str, data: bytes, title: str) -> Any:
    """Reads the message called `name` here. Raises TensorFlowFileError, which names `title`."""
    _refuse_many_fields(name, data, title)
    try:
        return _CLASSES[name].FromString(data)
    except message.DecodeError as error:
        raise TensorFlowFileError(
            f"{title} is damaged or cut short: it is no message of TensorFlow's. Fetch it anew."
        ) from error


def shape(of: Any, title: str) -> tuple[int, ...]:
    """A `Shape` as numbers. Raises TensorFlowFileError for one that no array has, or a huge one."""
    sizes = tuple(dimension.size for dimension in of.dim[:RANK_LIMIT])
    if of.unknown_rank or len(of.dim) > RANK_LIMIT or any(size < 0 for size in sizes):
        raise TensorFlowFileError(
            f"{shown(title)} has no definite shape ({list(sizes)}): is it damaged?"
        )
    if math.prod(size or 1 for size in sizes) > archives.MEMBER_LIMIT:
        raise TensorFlowFileError(
            f"{shown(title)} has shape {list(sizes)}, which is refused: too large."
        )
    return sizes


def _refuse_many_fields(name: str, data: bytes, title: str) -> None:
    """Counts the fields of a message and of those in it, before memory is taken for any."""
    if len(data) <= 2 * _FIELDS_LIMIT:  # a field has two bytes at least
        return
    waiting, count = [(name, memoryview(data))], 0
    while waiting:
        name, view = waiting.pop()
        inner = {number: kind.lstrip("*") for _, number, kind in _MESSAGES[name]}
        for number, value in _fields(view):
            count += 1
            if count > _FIELDS_LIMIT:
                raise TensorFlowFileError(
                    f"{title} is made of more than {_FIELDS_LIMIT} parts, as no network is: "
                    "refused."
                )
            if inner.get(number) in _MESSAGES:
                waiting.append((inner[number], value))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field on the wire; nothing behind one that makes no sense."""
    place = 0
    while place < len(data):
        tag, place = _number(data, place)
        size = {1: 8, 5: 4}.get(tag & 7, 0)
        if tag & 7 in (0, 2):
            value, place = _number(data, place)
            size = value if tag & 7 == 2 else 0
        if size > len(data) - place:
            return
        yield tag >> 3, data[place : place + size]
        place += size


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = 0
    for shift, byte in enumerate(data[place : place + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, place + shift + 1
    return value, len(data)


def _classes() -> dict[str, type[message.Message]]:
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated, kind = kind.startswith("*"), kind.lstrip("*")
            described.field.add(
                name=field,
                number=number,
                label=field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL,
                type=field_type.TYPE_MESSAGE
                if kind in _MESSAGES
                else field_type.Type.Value(f"TYPE_{kind.upper()}"),
                type_name=f".{_PACKAGE}.{kind}" if kind in _MESSAGES else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _classes()
