"""The file of an exported backbone: a round trip, and every way it can be damaged."""

import dataclasses
import hashlib
import json
import os
import random
import tracemalloc

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.fingerprint import fingerprint
from adapters.runtime import graph_file
from adapters.runtime.device import Device
from adapters.runtime.engine import Engine, LiteRTError
from adapters.runtime.stored import StoredDevice
from adapters.store import signed_folder
from adapters.store.errors import ChangedFolderError, UnsignedFolderError
from adapters.store.trust import TrustedKey
from tests.device import exported
from tests.device.changed_graphs import altered, described, resealed, saying


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "narrow.tflite"
    graph_file.write_graph(path, exported.graph())
    return path.read_bytes()


def test_a_file_gives_back_what_was_written(written, tmp_path):
    path = tmp_path / "narrow.tflite"
    path.write_bytes(written)
    graph, read = exported.graph(), graph_file.read_graph(path)
    for field in ("backbone", "fingerprint", "epsilon", "mean", "std", "features", "classes"):
        assert getattr(read, field) == getattr(graph, field)
    for field in ("sizes", "batches", "tolerance", "kernels_are_int8"):
        assert getattr(read, field) == getattr(graph, field)
    assert (read.inputs, read.kernels, read.biases) == (graph.inputs, graph.kernels, graph.biases)
    assert read.flatbuffer.rstrip(b"\0") == graph.flatbuffer.rstrip(b"\0")
    again = tmp_path / "again.tflite"
    graph_file.write_graph(again, read)
    assert again.read_bytes() == written


def test_other_weights_than_the_graph_names_are_noticed(tmp_path):
    """Whoever changes a constant, or the name of what it is, can give the file a right digest."""
    graph = exported.graph()
    assert fingerprint(graph.weights) == graph.fingerprint
    data = bytearray(graph.flatbuffer)
    place = next(iter(graph.kernels.values()))
    data[place.offsets[0]] ^= 1
    for change in ({"fingerprint": "f" * 64}, {"flatbuffer": bytes(data)}):
        path = tmp_path / "forged.tflite"
        graph_file.write_graph(path, dataclasses.replace(graph, **change))
        with pytest.raises(graph_file.GraphFileError, match="other weights than those it names"):
            graph_file.read_graph(path)


@pytest.mark.parametrize("tolerance", [1e300, 0.01, -1.0, float("inf"), float("nan")])
def test_a_graph_does_not_say_how_well_its_patches_are_checked(written, tmp_path, tolerance):
    header, _ = described(written)
    about = json.loads(header["__metadata__"]["modelpatch_graph"])
    header["__metadata__"]["modelpatch_graph"] = json.dumps(about | {"tolerance": tolerance})
    path = tmp_path / "lax.tflite"
    path.write_bytes(saying(written, header))
    with pytest.raises(graph_file.GraphFileError, match="another version"):
        graph_file.read_graph(path)


def test_whatever_a_graph_says_of_itself_is_read_or_refused(written, tmp_path):
    chance, path = random.Random(1), tmp_path / "any.tflite"
    header, tail = described(written)
    own = len(written) - 48 - len(tail)
    refused = 0
    for _ in range(400):
        if chance.random() < 0.9:
            path.write_bytes(saying(written, altered(header, chance)))
        else:
            length = chance.choice([0, 7, 8, 9, 2**40, chance.randrange(own)])
            path.write_bytes(resealed(tail, length, written))
        try:
            graph = graph_file.read_graph(path)
        except graph_file.GraphFileError:
            refused += 1
        else:
            assert fingerprint(graph.weights) == graph.fingerprint
    assert refused > 300


@pytest.mark.parametrize("factor", [3e38, float("inf"), float("nan")])
def test_factors_of_int8_that_give_no_numbers_are_refused(factor):
    place = graph_file.Place((2,), (0,), (0,), (2,))
    kept = np.int8([100, -128]).tobytes()
    place.check(kept + np.float32([2e36, -2e36]).tobytes())
    with pytest.raises(ValueError, match="gives no numbers"):
        place.check(kept + np.float32([1, factor]).tobytes())


def test_a_header_of_megabytes_is_not_read(written, tmp_path):
    path = tmp_path / "long.tflite"
    path.write_bytes(saying(written, [{"": 0}] * 1_000_000))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(graph_file.GraphFileError, match="more than 4194304 bytes"):
            graph_file.read_graph(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()


def test_a_graph_that_nobody_vouches_for_is_not_opened_where_keys_are_trusted(written, tmp_path):
    maker = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    trusted = {maker.public_key().public_bytes_raw(): TrustedKey("maker.pub")}
    path = tmp_path / "device" / "narrow.tflite"
    path.parent.mkdir()
    path.write_bytes(written)
    where = path, tmp_path / "store"
    with pytest.raises(UnsignedFolderError, match=r"has no folder\.sig"):
        StoredDevice(*where, trusted=trusted)
    assert StoredDevice(*where, trusted=trusted, unsigned_graph=True).tasks() == ()
    beside = path.parent / signed_folder.NAME
    beside.write_bytes(signed_folder.sign_folder(path.parent, maker))
    assert StoredDevice(*where, trusted=trusted).tasks() == ()
    assert Device(path, signed_by=trusted).graph.backbone == "narrow"
    path.write_bytes(written + b"\0")
    with pytest.raises(ChangedFolderError, match=r"narrow\.tflite.* is not the file"):
        StoredDevice(*where, trusted=trusted)


def test_any_litert_runtime_opens_the_file_as_it_is(written):
    from ai_edge_litert.interpreter import Interpreter

    assert "norms_32_1" in Interpreter(model_content=written).get_signature_list()


@pytest.mark.parametrize("place", [0.01, 0.5, 0.9, 0.999])
def test_a_flipped_bit_is_noticed(written, tmp_path, place):
    damaged = bytearray(written)
    damaged[int(place * len(damaged))] ^= 1
    path = tmp_path / "damaged.tflite"
    path.write_bytes(damaged)
    with pytest.raises(graph_file.GraphFileError, match="damaged"):
        graph_file.read_graph(path)


def test_a_file_that_does_not_say_how_pixels_are_scaled_is_to_be_exported_again(written, tmp_path):
    """One of before graphs said it; its digest is right."""
    assert written.count(rb"\"mean\":") == 1
    older = written[:-48].replace(rb"\"mean\":", rb"\"none\":")
    path = tmp_path / "older.tflite"
    path.write_bytes(older + hashlib.sha256(older).digest() + written[-16:])
    with pytest.raises(graph_file.GraphFileError, match=r"another version .* export it again"):
        graph_file.read_graph(path)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 1000])
def test_something_else_is_no_exported_backbone(tmp_path, content):
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(graph_file.GraphFileError, match="is no exported backbone"):
        graph_file.read_graph(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.tflite")  # who opens it waits for ever
    for path in (tmp_path / "missing.tflite", tmp_path, tmp_path / "pipe.tflite"):
        with pytest.raises(graph_file.GraphFileError, match=f"{path.name} cannot be read"):
            Device(path)


def test_a_file_cut_short_is_refused(written, tmp_path):
    path = tmp_path / "short.tflite"
    path.write_bytes(written[: len(written) // 2])
    with pytest.raises(graph_file.GraphFileError):
        graph_file.read_graph(path)


def test_litert_s_own_refusal_is_in_words():
    with pytest.raises(LiteRTError, match="LiteRT refuses the graph"):
        Engine(b"no flatbuffer at all", threads=1)
