"""Reading safetensors files, bfloat16 included, which NumPy has not."""

import functools
import json
from typing import Any

import numpy as np
import safetensors

from adapters import errors
from adapters.backbones.stored import Stored, widened
from adapters.shown import shown, shown_value

_HEADER_LIMIT = 1 << 22  # bytes; a network of a thousand tensors has 100,000
_ELEMENTS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}


class SafetensorsFileError(errors.ModelPatchError):
    """A safetensors file is damaged, or holds numbers that are not read here."""


def is_safetensors(data: bytes) -> bool:
    """Whether content begins as such a file: a header's length, then the header, which is JSON."""
    return data[4:9] == b"\0\0\0\0{"


def read_safetensors(data: bytes) -> dict[str, Stored]:
    """Gives the tensors by name; bfloat16 widens to float32. Raises SafetensorsFileError."""
    return {name: _stored(name, described) for name, described in _content(data)}


def metadata(data: bytes) -> dict[str, str]:
    """The texts that an intact file keeps beside its tensors. Raises SafetensorsFileError."""
    _content(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__", {})


def _content(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    length = int.from_bytes(data[:8], "little")
    if length > _HEADER_LIMIT:
        raise SafetensorsFileError(
            f"the safetensors file is damaged, or describes more tensors than any network has: its "
            f"header takes {length} bytes."
        )
    try:
        return safetensors.deserialize(data)
    except (safetensors.SafetensorError, ValueError) as error:
        said = shown_value(str(error))
        raise SafetensorsFileError(f"the safetensors file is damaged: {said}.") from error


def _stored(name: str, described: dict[str, Any]) -> Stored:
    element = described["dtype"]
    if element not in _ELEMENTS:
        raise SafetensorsFileError(
            f"{shown(name)} holds {element} values: convert them to float32 first."
        )
    shape, brain = tuple(described["shape"]), element == "BF16"
    dtype = np.dtype(np.float32 if brain else _ELEMENTS[element])
    return Stored(shape, dtype, functools.partial(_read, described["data"], element, shape))


def _read(data: bytes, element: str, shape: tuple[int, ...]) -> np.ndarray:
    values = np.frombuffer(data, _ELEMENTS[element]).reshape(shape)
    return widened(values) if element == "BF16" else values
