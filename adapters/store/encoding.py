"""How a patch's numbers are stored: one encoding a file, for its edits and its head.

| encoding | stores |
|---|---|
| `float32` | every number as it is |
| `float16` | numbers rounded to half precision, to even |
| `int8` | whole numbers from -127 to 127, times a float32 scale |

There is a scale for each entry of the last axis, and one for a vector.
Masks are bits in every encoding; statistics, the coefficients of affine masks and `open` stay
float32. In memory all numbers are float32 (bits: uint8), and what was read is stored as the same
bytes again: an int8 scale is the largest magnitude over 127, rounded up to 16 significant bits, so
that 127 times it is exact and gives it again.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from adapters.store import kinds, tensors
from adapters.store.errors import EncodingError, SchemaError
from adapters.store.kinds import Array, Edits, Shape

ENCODINGS = ("float32", "float16", "int8")
DTYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1", "U8": "u1"}  # as safetensors spells them
_STORED = {"float32": "F32", "float16": "F16", "int8": "I8"}
_MOST = 127
_SCALE_BITS = 16
_LEAST_SCALE = 2.0**-126  # below it float32 has fewer bits
_BLOCK = 2**12  # numbers that are divided at once, in float64


class Storage(NamedTuple):
    """A stored tensor's `dtype`, one of `DTYPES`, and `shape`."""

    dtype: str
    shape: Shape

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return _item_size(self.dtype) * math.prod(self.shape)


@functools.cache
def _item_size(dtype: str) -> int:
    return np.dtype(DTYPES[dtype]).itemsize


def rounded(
    edits: Edits, head: Mapping[str, Array], encoding: str
) -> tuple[dict[str, dict[str, dict[str, Array]]], dict[str, Array]]:
    """The edits and the head that a reader of the file will see.

    Raises EncodingError for a number that the encoding cannot hold.
    """
    return tensors.unflatten(decode(encode(tensors.flatten(edits, head), encoding)))


def encode(named: Mapping[str, Array], encoding: str) -> dict[str, Array]:
    """The arrays to store for the tensors `{name: array}`, scales included, in the file's order.

    Raises EncodingError for a number that the encoding cannot hold.
    """
    stored: dict[str, Array] = {}
    for name, array in named.items():
        dtype = _dtype(name, encoding)
        if dtype == "I8":
            stored[name], stored[tensors.SCALE + name] = _quantised(name, array)
        else:
            stored[name] = _half(name, array) if dtype == "F16" else array
    return dict(sorted(stored.items()))


def decode(stored: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors `{name: array}` that `stored` holds, float32 or bits, each read-only.

    Raises SchemaError for a scale that is not a finite number above zero.
    """
    named = {}
    for name, array in stored.items():
        if name.startswith(tensors.SCALE):
            continue
        if array.dtype == np.int8:
            scale = stored[tensors.SCALE + name]
            if not (np.isfinite(scale) & (scale > 0)).all():
                raise SchemaError(f"{tensors.SCALE + name} holds a scale that is not above zero")
            with np.errstate(over="ignore"):  # an infinity is refused with the other values
                array = np.multiply(array, scale, dtype=np.float32).reshape(array.shape)
        elif array.dtype == np.float16:
            array = array.astype(np.float32)
        named[name] = array.view()
        named[name].flags.writeable = False
    return named


def check_canonical(stored: Mapping[str, Array], named: Mapping[str, Array], encoding: str) -> None:
    """Raises SchemaError unless `stored` is how the encoding spells the finite values `named`."""
    for name, array in named.items():
        if stored[name].dtype == np.float32:  # has one spelling
            continue
        # One at a time: all of them again would be a third of the memory that reading takes.
        for part, again in encode({name: array}, encoding).items():
            if not np.array_equal(_bytes(stored[part]), _bytes(again)):
                raise SchemaError(f"{part} holds numbers that {encoding} spells otherwise")


def layout(shapes: Mapping[str, Shape], encoding: str) -> dict[str, Storage]:
    """How tensors of these shapes are stored, scales included, in the file's order."""
    stored: dict[str, Storage] = {}
    for name, shape in shapes.items():
        stored[name] = Storage(_dtype(name, encoding), shape)
        if stored[name].dtype == "I8":
            stored[tensors.SCALE + name] = Storage("F32", _scale_shape(shape))
    return dict(sorted(stored.items()))


def check_layout(found: Mapping[str, Storage], encoding: str) -> None:
    """Raises SchemaError unless tensors and scales are stored as the encoding stores them."""
    values = {n: s.shape for n, s in found.items() if not n.startswith(tensors.SCALE)}
    expected = layout(values, encoding)
    for name in sorted(found.keys() | expected.keys()):
        if name not in expected:
            raise SchemaError(f"{name} is the scale of no tensor that {encoding} scales")
        if name not in found:
            raise SchemaError(f"{name} is missing, the scale of a tensor of int8")
        if found[name] != expected[name]:
            raise SchemaError(
                f"{name} is {_spelled(found[name])}, in {encoding} it is {_spelled(expected[name])}"
            )


def _dtype(name: str, encoding: str) -> str:
    if tensors.is_edit(name):
        kind, _, leaf = tensors.place(name)
        if kinds.is_bits(kind, leaf):
            return "U8"
        if kinds.stays_float32(kind, leaf):
            return "F32"
    return _STORED[encoding]


def _half(name: str, array: Array) -> Array:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise EncodingError(f"{name} holds {_largest(array):.6g}, float16 ends at 65504")
    return half


def _quantised(name: str, array: Array) -> tuple[Array, Array]:
    """int8 of the array's shape, and the scales."""
    rows = array.reshape(-1, *_scale_shape(array.shape))
    whole, scale = np.empty(rows.shape, np.int8), np.empty(rows.shape[1], np.float32)
    # In blocks, since float64 takes eight bytes where the file has one.
    step = max(1, _BLOCK // scale.size)
    for first in range(0, scale.size, _BLOCK):
        channels = slice(first, first + _BLOCK)
        scale[channels] = _scale(name, rows[:, channels])
        for begin in range(0, len(rows), step):
            block = rows[begin : begin + step, channels] / scale[channels].astype(np.float64)
            whole[begin : begin + step, channels] = np.rint(block, out=block)
    return whole.reshape(array.shape), scale


def _scale(name: str, rows: Array) -> Array:
    """The scale of each column of `rows` [N, C], in float64 but exact in float32."""
    most = np.maximum(rows.max(axis=0), -rows.min(axis=0)).astype(np.float64)
    fraction, exponent = np.frexp(most / _MOST)
    scale = np.ldexp(np.ceil(np.ldexp(fraction, _SCALE_BITS)), exponent - _SCALE_BITS)
    scale = np.maximum(scale, _LEAST_SCALE)
    if _MOST * scale.max() > np.finfo(np.float32).max:
        raise EncodingError(f"{name} holds {_largest(rows):.6g}, which int8's scale cannot reach")
    # A channel of zeros alone has no magnitude to take a scale from.
    return np.where(np.rint(most / scale) == 0, 1.0, scale)


def _bytes(array: Array) -> Array:
    return array.ravel().view(np.uint8)


def _scale_shape(shape: Shape) -> Shape:
    return shape[-1:] if len(shape) > 1 else (1,)


def _largest(array: Array) -> Any:
    return array.flat[np.abs(array).argmax()]


def _spelled(storage: Storage) -> str:
    return f"{storage.dtype} {list(storage.shape)}"
