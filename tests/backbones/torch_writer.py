"""Writes what torch.save would write, without PyTorch; and pickles that nobody would."""

import io
import struct
import zipfile
from typing import Any

import numpy as np

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
PROTOCOL, SYSTEM = b"\x80\x02M\xe9\x03.", b"\x80\x02}."
_STORAGES = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long"}


def torch_file(content: Any) -> bytes:
    """A zip as PyTorch 1.6 and later write it: dictionaries, plain values and arrays."""
    blobs: list[bytes] = []
    return torch_zip(b"\x80\x02" + _pickled(content, blobs) + b".", blobs)


def torch_zip(program: bytes, blobs: list[bytes], packed: bool = False) -> bytes:
    """The same of any pickle and storages."""
    file, packing = io.BytesIO(), zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", packing, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", b"little")
        for key, blob in enumerate(blobs):
            archive.writestr(f"archive/data/{key}", blob)
    return file.getvalue()


def torch_legacy(program: bytes) -> bytes:
    """What older versions write, of any pickle, with no storages behind it."""
    return MAGIC + PROTOCOL + SYSTEM + program + b"\x80\x02]."


def text(value: str) -> bytes:
    """The opcode that pushes a text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def tensor(kind: str, key: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """The opcodes that push a tensor of a storage."""
    storage = b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(str(key))
    storage += text("cpu") + _integer(0) + b"tQ"
    sizes = b"(" + b"".join(map(_integer, shape)) + b"t(" + b"".join(map(_integer, strides)) + b"t"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _integer(0) + sizes + hooks + b"tR"


def _pickled(value: Any, blobs: list[bytes]) -> bytes:
    match value:
        case None:
            return b"N"
        case str():
            return text(value)
        case int():
            return _integer(value)
        case float():
            return b"G" + struct.pack(">d", value)
        case dict():
            items = (_pickled(item, blobs) for pair in value.items() for item in pair)
            return b"}(" + b"".join(items) + b"u"
        case np.ndarray():
            blobs.append(value.tobytes())
            kind = _STORAGES[value.dtype.str[1:]]
            strides = tuple(
                step // value.itemsize for step in np.empty(value.shape, value.dtype).strides
            )
            return tensor(kind, len(blobs) - 1, value.shape, strides)
    raise TypeError(f"{type(value).__name__} is not written here")


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)
