"""HDF5 files that nobody vouches for: what lies in them, found and read within bounds.

The library follows links into other files, makes whole arrays of one fill value, and unpacks a
chunk to whatever is packed in it. Here hard links alone are followed, so many and so deep as in a
network; and chunks are unpacked by `zlib`, to their own size and no further.
"""

import functools
import io
import math
import zlib
from collections.abc import Iterator

import h5py
import numpy as np

from adapters import errors
from adapters.backbones.hdf5_text import attribute_text
from adapters.backbones.stored import Stored
from adapters.shown import shown

_OBJECTS = 1 << 15  # MobileNetV4 hybrid large with an optimiser's slots has 6,000
_DEPTH = 32
_CHUNK = 1 << 24  # bytes; the largest leaf of any table has 5 million
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}


class HDF5Error(errors.ModelPatchError):
    """An HDF5 file is damaged, or asks for more than a network's weights do."""


def datasets(root: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every data set below `root` with its path, each once, in the order of their names.

    Raises HDF5Error where there are too many or too deep.
    """
    waiting, seen = [("", root, 0)], 0
    met = {_address(root)}
    while waiting:
        path, item, depth = waiting.pop()
        if isinstance(item, h5py.Dataset):
            yield path, item
            continue
        inside = []
        for name in item:
            seen += 1
            if seen > _OBJECTS or depth > _DEPTH:
                raise HDF5Error("the file holds more, or deeper, groups than any network: refused.")
            hard = item.get(name, getlink=True)
            if not isinstance(hard, h5py.HardLink):
                continue
            child = item[name]
            if isinstance(child, h5py.Group | h5py.Dataset) and _address(child) not in met:
                met.add(_address(child))
                inside.append((f"{path}/{name}".lstrip("/"), child, depth + 1))
        waiting += reversed(inside)


def text(item: h5py.Group, name: str, data: bytes) -> str | None:
    """An attribute of a group in the file `data` that is one short text; None for any other."""
    return attribute_text(data, _address(item), name)


def stored(values: h5py.Dataset, data: bytes) -> Stored:
    """A data set of the file `data`, which is opened again when it is asked for.

    Raises HDF5Error when its values are not in the file.
    """
    if values.external or values.is_virtual or values.shape is None:
        raise HDF5Error(f"{shown(values.name)} is kept in another file, or is empty: refused.")
    return Stored(values.shape, values.dtype, functools.partial(_values, data, values.name))


def _values(data: bytes, name: str) -> np.ndarray:
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            values = file[name]
            return values[()] if values.chunks is None else _from_chunks(values, len(data))
    except errors.ModelPatchError:
        raise
    except Exception as error:  # a damaged file may fail in any way that HDF5 can
        raise HDF5Error(f"the values of {shown(name)} are damaged: save them anew.") from error


def _from_chunks(values: h5py.Dataset, size: int) -> np.ndarray:
    whole = math.prod(values.chunks) * values.dtype.itemsize
    plan = values.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if whole > _CHUNK or not _FILTERS.issuperset(filters):
        raise HDF5Error(
            f"{shown(values.name)} is kept in chunks of {whole} bytes, or in an unusual packing: "
            "save it without compression."
        )
    result = np.full(values.shape, values.fillvalue, values.dtype)
    for number in range(values.id.get_num_chunks()):
        about = values.id.get_chunk_info(number)
        if about.size > size:
            raise HDF5Error(f"a chunk of {shown(values.name)} is larger than the file: damaged?")
        mask, packed = values.id.read_direct_chunk(about.chunk_offset)
        for place in reversed(range(len(filters))):
            if not mask >> place & 1:
                packed = _unpacked(packed, filters[place], whole, values.dtype.itemsize)
        chunk = np.frombuffer(packed, values.dtype, math.prod(values.chunks)).reshape(values.chunks)
        target = result[tuple(slice(start, None) for start in about.chunk_offset)]
        target = target[tuple(map(slice, values.chunks))]
        target[...] = chunk[tuple(map(slice, target.shape))]
    return result


def _unpacked(data: bytes, kind: int, whole: int, itemsize: int) -> bytes:
    if kind == h5py.h5z.FILTER_DEFLATE:
        return zlib.decompressobj().decompress(data, whole)
    return np.frombuffer(data, np.uint8).reshape(itemsize, -1).T.tobytes()


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return h5py.h5o.get_info(item.id).addr
