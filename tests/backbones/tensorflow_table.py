"""Writes TensorFlow's checkpoints and graphs, for what TensorFlow itself would not write."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import google_crc32c
import numpy as np

from adapters.backbones.tensorflow.messages import parse

FLOAT = 1


def index(entries: Mapping[bytes, bytes], compression: int = 0, block_size: int = 10) -> bytes:
    """A table of blocks of `block_size` entries, which share nothing."""
    pairs = sorted(entries.items())
    written, places = b"", []
    for start in range(0, len(pairs), block_size):
        some = pairs[start : start + block_size]
        block = _block(some, compression)
        places.append((some[-1][0], _number(len(written)) + _number(len(block) - 5)))
        written += block
    last = _block(places, compression)
    footer = _number(0) + _number(0) + _number(len(written)) + _number(len(last) - 5)
    return written + last + footer.ljust(40, b"\0") + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def entry(values: np.ndarray, **changes: int) -> Any:
    """An entry of the index for a float32 array at the file's start, with `changes` to it."""
    data = values.tobytes()
    made = parse("BundleEntry", b"", "")
    made.dtype, made.size, made.crc32c = FLOAT, len(data), masked(data)
    for size in values.shape:
        made.shape.dim.add(size=size)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def header(**fields: int) -> bytes:
    """The entry without a name."""
    made = parse("BundleHeader", b"", "")
    for name, value in {"num_shards": 1, **fields}.items():
        setattr(made, name, value)
    return made.SerializeToString()


def write_bundle(prefix: pathlib.Path, tensors: Mapping[str, np.ndarray]) -> None:
    """A whole checkpoint of one data file."""
    entries, data = {b"": header()}, b""
    for name, values in tensors.items():
        entries[name.encode()] = entry(values, offset=len(data)).SerializeToString()
        data += values.tobytes()
    pathlib.Path(f"{prefix}.index").write_bytes(index(entries))
    pathlib.Path(f"{prefix}.data-00000-of-00001").write_bytes(data)


def graph(*constants: tuple[str, Any]) -> bytes:
    """A frozen graph: each tensor message is a constant, and read."""
    made = parse("Graph", b"", "")
    for name, tensor in constants:
        node = made.node.add(name=name, op="Const")
        node.attr.add(key="value").value.tensor.CopyFrom(tensor)
        made.node.add(name=f"{name}/read", op="Identity", input=[name])
    return made.SerializeToString()


def constant(shape: Iterable[int], dtype: int = FLOAT, **fields: Any) -> Any:
    """A tensor message: `content`, `float_val`, `double_val`, `half_val`."""
    made = parse("Tensor", b"", "")
    made.dtype = dtype
    for size in shape:
        made.shape.dim.add(size=size)
    for name, value in fields.items():
        if name == "content":
            made.content = value
        else:
            getattr(made, name).extend(value)
    return made


def masked(data: bytes) -> int:
    """CRC-32C as it is kept: rotated right by 15 bits, and a constant added."""
    crc = google_crc32c.value(data)
    return ((crc // 2**15 + crc % 2**15 * 2**17) + 0xA282EAD8) % 2**32


def _block(pairs: list[tuple[bytes, bytes]], compression: int) -> bytes:
    entries = (_number(0) + _number(len(k)) + _number(len(v)) + k + v for k, v in pairs)
    content = b"".join(entries) + bytes(4) + (1).to_bytes(4, "little") + bytes([compression])
    return content + masked(content).to_bytes(4, "little")


def _number(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _number(high) if high else bytes([low])
