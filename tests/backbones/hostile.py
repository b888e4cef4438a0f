"""Files of few bytes that ask for gigabytes, each in another way."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from tests.backbones import tensorflow_table
from tests.backbones.torch_writer import tensor, text, torch_legacy, torch_zip

_GIGABYTE = 1 << 30
_STEM = (3, 3, 3, 16)  # of mobilenet_v2_0.35, as Keras keeps it


def _memo_address() -> bytes:
    """An address in the memo, up to which an array is made."""
    return torch_legacy(b"\x80\x02}r" + struct.pack("<I", (1 << 29) - 1) + b".")


def _text_length() -> bytes:
    return torch_legacy(b"\x80\x02\x8e" + struct.pack("<Q", 4 * _GIGABYTE) + b"a.")


def _bytearray_length() -> bytes:
    return torch_legacy(b"\x80\x05\x96" + struct.pack("<Q", 4 * _GIGABYTE) + b"a.")


def _copied_dictionaries() -> bytes:
    """One list of pairs, of which thousands of dictionaries are made."""
    pairs = b"](" + b"".join(b"(" + text(str(n)) + b"Kat" for n in range(2_000)) + b"eq\x00"
    call = b"ccollections\nOrderedDict\nq\x01" + b"(" + b"h\x01h\x00\x85R" * 2_000 + b"l."
    return torch_legacy(b"\x80\x02" + pairs + call)


def _copied_attributes() -> bytes:
    """One dictionary, written into the attributes of thousands of others."""
    state = b"}(" + b"".join(text(str(n)) + b"Ka" for n in range(2_000)) + b"uq\x00"
    made = b"ccollections\nOrderedDict\nq\x01" + b"(" + b"h\x01)Rh\x00b" * 9_000 + b"l."
    return torch_legacy(b"\x80\x02" + state + made)


def _many_opcodes() -> bytes:
    return torch_legacy(b"\x80\x02(" + b"}" * 9_000_000 + b"l.")


def _long_message() -> bytes:
    """A reference that is no storage: a list of one long text a thousand times."""
    return torch_legacy(b"\x80\x02" + text("a" * 235_000) + b"q\x00](" + b"h\x00" * 1_000 + b"eQ.")


def _nested_message() -> bytes:
    """A reference that is no storage: each list is ten times the one before it."""
    lists = (b"](" + (b"h" + bytes([n])) * 10 + b"eq" + bytes([n + 1]) for n in range(8))
    return torch_legacy(b"\x80\x02]q\x00" + b"".join(lists) + b"Q.")


def _long_names() -> bytes:
    """Each of the tensors that are not expected has a name of a hundred kilobytes."""
    names = b"".join(
        text(f"features.{n}" + "a" * 100_000) + tensor("Float", 0, (1,), (1,)) for n in range(60)
    )
    return torch_zip(b"\x80\x02}(" + names + b"u.", [bytes(4)])


def _storages_of_zeros() -> bytes:
    items = b"".join(text(f"{n}") + tensor("Float", n, (1 << 24,), (1,)) for n in range(5))
    return torch_zip(b"\x80\x02}(" + items + b"u.", [bytes(1 << 26)] * 5, packed=True)


def _one_storage_again() -> bytes:
    """A hundred tensors that are one."""
    items = b"".join(text(f"{n}") + tensor("Float", 0, (1 << 20,), (1,)) for n in range(100))
    return torch_zip(b"\x80\x02}(" + items + b"u.", [bytes(1 << 22)])


def _many_members() -> bytes:
    """A directory of two hundred thousand members, all of them the same."""
    data = torch_zip(b"\x80\x02}.", [])
    start = data.index(b"PK\x01\x02")
    entry = bytearray(data[start : start + 46])
    entry[28:34] = struct.pack("<HHH", 1, 0, 0)  # lengths of name, extra field and comment
    listed = (bytes(entry) + b"a") * 200_000
    return data[:start] + listed + struct.pack("<4s4xHHIIH", b"PK\5\6", 0, 0, len(listed), start, 0)


def _hdf5(**datasets: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        for name, settings in datasets.items():
            written.create_dataset(f"{name}/{name}/kernel", **settings)
    return file.getvalue()


def _fill_values() -> bytes:
    large = {"shape": (1 << 27,), "dtype": "f4", "fillvalue": 1}
    return _hdf5(**{f"layer_{number}": large for number in range(8)})


def _compressed_chunks() -> bytes:
    return _packed((1 << 27,), (1 << 22,), [zlib.compress(bytes(1 << 24))] * 32)


def _overfull_chunk() -> bytes:
    """The stem's kernel of 1,728 bytes, packed as 64 megabytes."""
    return _packed(_STEM, _STEM, [zlib.compress(bytes(1 << 26), 1)])


def _packed(shape: tuple[int, ...], chunks: tuple[int, ...], packed: list[bytes]) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        made = written.create_dataset(
            "Conv1/Conv1/kernel", shape, "f4", chunks=chunks, compression=1
        )
        for number, data in enumerate(packed):
            made.id.write_direct_chunk((number * chunks[0], *[0] * (len(shape) - 1)), data)
    return file.getvalue()


def _large_text() -> bytes:
    """The stem's kernel, each of whose elements is a text of ten megabytes."""
    return _hdf5(Conv1={"shape": _STEM, "dtype": "S10000000"})


def _large_chunk() -> bytes:
    """The stem's kernel, in the corner of a chunk of two gigabytes."""
    chunk = (1 << 9, 1 << 8, 1 << 6, 1 << 6)
    return _hdf5(Conv1={"shape": _STEM, "dtype": "f4", "maxshape": (None,) * 4, "chunks": chunk})


def _stated_text() -> bytes:
    """A layer's name that says of itself that it has four gigabytes."""
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        group = written.create_group("layers/conv2d/vars")
        group["0"] = np.zeros(1, np.float32)
        group.attrs["name"] = "a layer"
    data = file.getvalue()
    heap = data.index(b"GCOL")
    stated = struct.pack("<IQ", len("a layer"), heap)
    assert data.count(stated) == 1
    return data.replace(stated, struct.pack("<IQ", (1 << 32) - 1, heap))


def _deep_groups() -> bytes:
    """The paths add up."""
    file = io.BytesIO()
    with h5py.File(file, "w", libver="latest") as written:
        group = written
        for _ in range(500):
            group = group.create_group("a" * 2_000)
            group["kernel"] = np.float32(1)
    return file.getvalue()


def _keras_zip(config: bytes, weights: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
    return file.getvalue()


def _keras_zeros() -> bytes:
    return _keras_zip(b'{"config": {}}', bytes(280 << 20))


def _keras_config() -> bytes:
    return _keras_zip(b"[" + b"{}," * 4_500_000 + b"{}]", b"")


def _keras_nested() -> bytes:
    """Models in models, whose long names add up."""
    model: dict[str, Any] = {"class_name": "a", "config": {"name": "a"}}
    for _ in range(250):
        model = {"class_name": "a" * 14_000, "config": {"name": "a", "layers": [model]}}
    return _keras_zip(json.dumps(model).encode(), b"")


def _safetensors_header() -> bytes:
    entry = '"%06d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header = ("{" + ",".join(entry % n for n in range(180_000)) + "}").encode()
    return struct.pack("<Q", len(header)) + header


def _graph_of_constants() -> bytes:
    one = tensorflow_table.constant([1 << 25], float_val=[1])
    return tensorflow_table.graph(*((f"a{number}", one) for number in range(16)))


def _graph_of_nodes() -> bytes:
    return b"\n\x00" * 5_000_000


def _graph_of_attributes() -> bytes:
    return _field(1, _field(5, b"") * 4_900_000)


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that has a length."""
    size, written = len(content), bytes([number << 3 | 2])
    while size > 0x7F:
        written += bytes([size & 0x7F | 0x80])
        size >>= 7
    return written + bytes([size]) + content


def _json() -> bytes:
    return b'{"weight_map":[' + b"{}," * 3_300_000 + b"{}]}"


FILES: Mapping[str, Callable[[], bytes]] = {
    made.__name__.strip("_"): made
    for made in (
        *(_memo_address, _text_length, _bytearray_length, _many_opcodes),
        *(_copied_dictionaries, _copied_attributes, _long_message, _nested_message, _long_names),
        *(_storages_of_zeros, _one_storage_again, _many_members),
        *(_fill_values, _compressed_chunks, _overfull_chunk, _large_chunk, _large_text),
        *(_stated_text, _deep_groups, _keras_zeros, _keras_config, _keras_nested),
        *(_safetensors_header, _json),
        *(_graph_of_constants, _graph_of_nodes, _graph_of_attributes),
    )
}
