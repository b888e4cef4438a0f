"""Reading PyTorch state dicts (`.pth`, `.pt`, `.bin`) without PyTorch.

Two layouts exist. The older one (before 1.6) is a row of pickles: magic number, protocol, system
information, the object, the keys of its storages; then each storage as an int64 count and its raw
values. The newer one is a zip with `data.pkl`, `byteorder` and one file `data/<key>` a storage.
Described in torch/serialization.py; both tested against files that PyTorch wrote.
"""

import dataclasses
import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from adapters import archives, errors, pickles
from adapters.backbones.stored import Stored, Tree, tables, widened
from adapters.shown import shown, shown_value

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_RANK_LIMIT = 8  # a MobileNet's tensors have up to four axes


class TorchFileError(errors.ModelPatchError):
    """A PyTorch file is damaged or holds no tensors."""


def read_torch_file(data: bytes) -> Tree:
    """Gives the tensors of a file by name, wrapped in dictionaries as the file wraps them.

    What is no tensor is passed over: a training script saves epochs, settings and optimisers beside
    its network. Integers and floats keep their dtype, except that bfloat16 widens to float32.

    Raises TorchFileError when the file is damaged or holds no tensors, PickleError when it asks for
    a name that could run code.
    """
    loaded, storages = _read_zip(data) if data.startswith(b"PK") else _read_pickles(data)
    tree = _tree(loaded, storages) if isinstance(loaded, dict) else {}
    if not any(True for _ in tables(tree)):
        raise TorchFileError(
            "the file holds no state dict (a mapping from names to tensors): "
            "save `model.state_dict()`, or use safetensors."
        )
    return tree


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
    axes = len(shape)
    numbers = (offset, *shape[:_RANK_LIMIT], *strides[:_RANK_LIMIT])
    whole = all(isinstance(number, int) and number >= 0 for number in numbers)
    if not whole or axes != len(strides) or axes > _RANK_LIMIT or not isinstance(storage, _Storage):
        raise TorchFileError(
            f"a tensor has shape {shown_value(shape)}, strides {shown_value(strides)}, offset "
            f"{shown_value(offset)}."
        )
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


_NAMES: pickles.Names = {
    ("collections", "OrderedDict"): dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): element for name, element in _ELEMENTS.items()},
    # What training scripts keep beside their tensors.
    **dict.fromkeys(
        [
            ("_codecs", "encode"),
            ("argparse", "Namespace"),
            ("collections", "Counter"),
            ("collections", "defaultdict"),
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            *(
                (f"numpy.{core}.multiarray", function)
                for core in ("core", "_core")
                for function in ("scalar", "_reconstruct")
            ),
            ("pathlib", "PosixPath"),
            ("pathlib", "WindowsPath"),
            ("torch", "Size"),
            ("torch", "device"),
            ("lightning_fabric.utilities.data", "AttributeDict"),
            ("lightning.fabric.utilities.data", "AttributeDict"),
            ("pytorch_lightning.utilities.parsing", "AttributeDict"),
            *(
                (module, kind)
                for module in ("builtins", "__builtin__")
                for kind in ("dict", "list", "set")
            ),
        ],
        pickles.Unread,
    ),
}


def _persistent(identifier: Any) -> _Storage:
    kind, element, key, *_ = identifier
    if kind != "storage" or element not in _ELEMENTS.values() or not isinstance(key, str):
        said = shown_value(identifier)
        raise TorchFileError(f"the file refers to {said}, which is not a tensor's storage.")
    return _Storage(element, key)


_Storages = Mapping[str, Callable[[], bytes | memoryview]]


def _read_zip(data: bytes) -> tuple[Any, _Storages]:
    members = {
        name.split("/", 1)[-1]: read  # below the one folder, named after the file
        for name, read in archives.zip_members(data).items()
    }
    if "data.pkl" not in members:
        raise TorchFileError(
            "the file is a zip without data.pkl: it was not written by torch.save."
        )
    if "byteorder" in members and members["byteorder"]() != b"little":
        raise TorchFileError(
            "the file was written on a big-endian machine, which is not read here."
        )
    loaded = pickles.load(io.BytesIO(members["data.pkl"]()), _NAMES, _persistent)
    prefix = "data/"

    # Tensors of one storage mostly follow each other; all storages at once may be far too much.
    @functools.lru_cache(maxsize=1)
    def unpacked(name: str) -> bytes:
        return members[name]()

    return loaded, {
        name.removeprefix(prefix): functools.partial(unpacked, name)
        for name in members
        if name.startswith(prefix)
    }


def _read_pickles(data: bytes) -> tuple[Any, _Storages]:
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
    keys = pickles.load(file, {})
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise TorchFileError("the file's list of storages is damaged.")
    if set(keys) != set(sizes):
        raise TorchFileError("the file's list of storages is not that of its tensors: cut short?")
    storages: dict[str, Callable[[], memoryview]] = {}
    values = memoryview(data)
    place = file.tell()
    for key in keys:
        count = int.from_bytes(data[place : place + 8], "little")
        start, place = place + 8, place + 8 + count * sizes[key]
        if place > len(data):
            raise TorchFileError(f"the values of storage {shown(key)!r} are cut short.")
        storages[key] = functools.partial(_part, values, start, place)
    return loaded, storages


def _part(values: memoryview, start: int, end: int) -> memoryview:
    return values[start:end]


def _tree(loaded: dict[Any, Any], storages: _Storages) -> Tree:
    """Dictionaries and the tensors in them, under names that are text; one that is met again stays
    the same one."""
    made: dict[int, dict[str, Any]] = {id(loaded): {}}
    waiting = [loaded]
    while waiting:
        theirs = waiting.pop()
        ours = made[id(theirs)]
        for name, item in theirs.items():
            if isinstance(name, str) and isinstance(item, _Tensor):
                ours[name] = _stored(name, item, storages)
            elif isinstance(name, str) and isinstance(item, dict):
                if id(item) not in made:
                    made[id(item)] = {}
                    waiting.append(item)
                ours[name] = made[id(item)]
    return made[id(loaded)]


def _stored(name: str, tensor: _Tensor, storages: _Storages) -> Stored:
    element = tensor.storage.element
    dtype = np.dtype("<f4" if element == "bfloat16" else element)
    return Stored(tensor.shape, dtype, functools.partial(_values, name, tensor, storages))


def _values(name: str, tensor: _Tensor, storages: _Storages) -> np.ndarray:
    element, shape, strides = tensor.storage.element, tensor.shape, tensor.strides
    read = storages.get(tensor.storage.key)
    data = read() if read else b""
    count = len(data) // _size(element)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and last >= count:
        raise TorchFileError(f"the tensor {shown(name)!r} reaches past its values: cut short?")
    if 0 in shape:
        return np.zeros(shape, "<f4" if element == "bfloat16" else element)
    stored = np.frombuffer(data, "<u2" if element == "bfloat16" else element, count)
    view = np.lib.stride_tricks.as_strided(
        stored[tensor.offset :],
        shape,
        [stride * stored.itemsize for stride in strides],
        writeable=False,
    )
    return widened(view) if element == "bfloat16" else np.array(view)


def _size(element: str) -> int:
    return 2 if element == "bfloat16" else np.dtype(element).itemsize
