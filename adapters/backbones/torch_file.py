"""Reading PyTorch state dicts (`.pth`, `.pt`) without PyTorch.

Two layouts exist. The older one (before 1.6) is a row of pickles: magic number, protocol, system
information, the object, the keys of its storages; then each storage as an int64 count and its raw
values. The newer one is a zip with `data.pkl`, `byteorder` and one file `data/<key>` a storage.
Described in torch/serialization.py; both tested against files that PyTorch wrote.
"""

import collections
import dataclasses
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from adapters import archives, errors, pickles

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class TorchFileError(errors.ModelPatchError):
    """A PyTorch file is damaged or is not a state dict."""


def read_torch_file(data: bytes) -> dict[str, np.ndarray]:
    """Gives the tensors of a state dict by name, in the file's order.

    Integers and floats keep their dtype, except that bfloat16 widens to float32. A state dict below
    a `state_dict` key, as training scripts write it, is found.

    Raises TorchFileError when the file is damaged or holds something else, PickleError when it
    asks for a name that could run code.
    """
    loaded, storages = _read_zip(data) if data.startswith(b"PK") else _read_pickles(data)
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not loaded:
        raise TorchFileError(
            "the file is not a state dict (a mapping from names to tensors): "
            "save `model.state_dict()`, or use safetensors."
        )
    return {name: _values(name, tensor, storages) for name, tensor in loaded.items()}


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Where values lie: their element type and the storage's key."""

    element: str
    key: str


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


# Element types by the storage class that PyTorch names; little-endian, as every file since is.
_ELEMENTS = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    numbers = (offset, *shape, *strides)
    whole = all(isinstance(number, int) and number >= 0 for number in numbers)
    if not whole or len(shape) != len(strides):
        raise TorchFileError(f"a tensor has shape {shape}, strides {strides}, offset {offset}.")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


_NAMES: pickles.Names = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): element for name, element in _ELEMENTS.items()},
}


def _persistent(identifier: Any) -> _Storage:
    kind, element, key, *_ = identifier
    if kind != "storage" or element not in _ELEMENTS.values() or not isinstance(key, str):
        raise TorchFileError(f"the file refers to {identifier!r}, which is not a tensor's storage.")
    return _Storage(element, key)


def _read_zip(data: bytes) -> tuple[Any, Mapping[str, bytes]]:
    members = {}
    for name, content in archives.iterate_members(io.BytesIO(data)):
        members[name.split("/", 1)[-1]] = content  # below the one folder, named after the file
    if "data.pkl" not in members:
        raise TorchFileError(
            "the file is a zip without data.pkl: it was not written by torch.save."
        )
    if members.get("byteorder", b"little") != b"little":
        raise TorchFileError(
            "the file was written on a big-endian machine, which is not read here."
        )
    loaded = pickles.load(io.BytesIO(members["data.pkl"]), _NAMES, _persistent)
    prefix = "data/"
    return loaded, {n.removeprefix(prefix): b for n, b in members.items() if n.startswith(prefix)}


def _read_pickles(data: bytes) -> tuple[Any, Mapping[str, bytes]]:
    file = io.BytesIO(data)
    sizes: dict[str, int] = {}

    def persistent(identifier: Any) -> _Storage:
        storage = _persistent(identifier)
        sizes[storage.key] = _size(storage.element)
        return storage

    if pickles.load(file, {}) != _MAGIC or pickles.load(file, {}) != _PROTOCOL:
        raise TorchFileError("the file does not begin as torch.save writes it.")
    pickles.load(file, {})  # the writer's word sizes, which numbers of fixed width do not need
    loaded = pickles.load(file, _NAMES, persistent)
    keys = [str(key) for key in pickles.load(file, {})]
    if set(keys) != set(sizes):
        raise TorchFileError("the file's list of storages is not that of its tensors: cut short?")
    return loaded, {key: _stored(file, sizes[key]) for key in keys}


def _stored(file: io.BytesIO, size: int) -> bytes:
    count = int.from_bytes(file.read(8), "little")
    return file.read(min(count * size, file.getbuffer().nbytes))


def _values(name: Any, tensor: Any, storages: Mapping[str, bytes]) -> np.ndarray:
    if not isinstance(name, str) or not isinstance(tensor, _Tensor):
        raise TorchFileError(
            f"the entry {name!r} is not a tensor: save `model.state_dict()` alone."
        )
    element = tensor.storage.element
    data = storages.get(tensor.storage.key, b"")
    count = len(data) // _size(element)
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    size = math.prod(tensor.shape)
    if size > count or (size and tensor.offset + reach >= count):
        raise TorchFileError(f"the tensor {name!r} reaches past the end of its values: cut short?")
    stored = np.frombuffer(data, "<u2" if element == "bfloat16" else element, count)
    view = np.lib.stride_tricks.as_strided(
        stored[tensor.offset :],
        tensor.shape,
        [stride * stored.itemsize for stride in tensor.strides],
        writeable=False,
    )
    if element == "bfloat16":  # the upper half of a float32
        return (view.astype(np.uint32) << 16).view(np.float32)
    return np.array(view)


def _size(element: str) -> int:
    return 2 if element == "bfloat16" else np.dtype(element).itemsize
