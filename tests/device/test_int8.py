"""Kernels stored as int8: what is kept of them, and graphs that compute with them."""

import dataclasses
import importlib.util
import re

import jax
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.benchmarking import stand_ins
from adapters.export import export_parity, litert
from adapters.runtime import int8, signatures
from adapters.runtime.device import Device
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import feed
from adapters.runtime.graph_file import read_graph, write_graph
from adapters.store import errors, parity
from adapters.store.edits import apply_edits
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.device import exported
from tests.patches.table import PLAIN

# Adapters add paths and other patches skip blocks, which no shared graph has room for.
SHARED = [entry for entry in PLAIN if not re.search("adapter|blocks", entry.name)]


@pytest.fixture(scope="module", autouse=True)
def _quantiser():
    if not importlib.util.find_spec("litert_quantizer"):
        pytest.skip("not installed: litert_quantizer; `launch/test` installs what is missing")


def graph_of(network, weights, batches=(1, 2), portable=False):
    settings = litert.Settings(8, (32,), batches, signatures.KINDS, litert.INT8, portable)
    mark = exported.contents("one").fingerprint
    return litert.export_backbone(
        "narrow", network, weights, mark, narrow.EPSILON, narrow.PIXELS, settings
    )


graph = exported.int8_graph


def seeded(count):
    return np.stack([parity.seeded_image(seed, (32, 32, 3)) for seed in range(count)])


def test_the_nearest_integers_are_kept():
    kernel = np.array([[[[1.27, 0, -5]], [[-0.634, 0, 2.5]]]], np.float32)  # [1, 2, 1, 3]
    factors = int8.factors_of(kernel)
    np.testing.assert_allclose(factors, [0.01, 1, 5 / 127], rtol=1e-6)
    integers = int8.integers_of(kernel, factors)
    assert integers.dtype == np.int8
    assert integers.reshape(2, 3).tolist() == [[127, 0, -127], [-63, 0, 64]]


def test_marks_are_not_rounded():
    kernel = int8.marked((3, 3, 5, 40), np.random.default_rng(0))
    factors = int8.factors_of(kernel)
    np.testing.assert_array_equal(int8.integers_of(kernel, factors) * factors, kernel)
    assert len(set(factors)) == 40


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v4 hybrid"])
def test_graphs_compute_with_the_rounded_kernels(name):
    network = build(FAMILIES[name], epsilon=narrow.EPSILON)
    drawn = stand_ins.weights(network.table)
    weights = jax.tree.map(np.asarray, narrow.disturbed(drawn, seed=1))
    made = graph_of(network, weights, batches=(2,), portable=True)
    found = export_parity.graph_differences(made, network, made.weights, {32: seeded(2)})
    assert len(found) == len(signatures.KINDS)
    assert max(found.values()) < 1e-5
    scaled = graph_of(network, weights, batches=(2,))
    found = export_parity.graph_differences(scaled, network, made.weights, {32: seeded(2)})
    export_parity.check(found, export_parity.TOLERANCE)
    assert 1e-3 < export_parity.moved(made, network, weights, {32: seeded(2)}) < 0.2


def test_each_kernel_is_within_half_a_step_and_all_else_as_it_was():
    for module, leaves in exported.weights().items():
        for name, leaf in leaves.items():
            kept = graph().weights[module][name]
            if name == "w":
                assert not np.array_equal(kept, leaf)
                half = np.abs(leaf).max(axis=tuple(range(leaf.ndim - 1))) / 127 / 2
                assert (np.abs(kept - leaf) <= half * 1.001).all()
            else:
                np.testing.assert_array_equal(kept, leaf)


def test_each_kernel_is_stored_once_and_not_as_floats():
    for name, place in graph().kernels.items():
        assert len(place.offsets) == 1
        constant = ("norms", "folded") if "depthwise" in name else signatures.KINDS
        assert len(place.factors) == 2 * len(constant)  # one a signature
    for name, place in graph().kernels.items():
        kernel = place.read(graph().flatbuffer)
        for axes in {place.axes, tuple(range(kernel.ndim))}:
            assert kernel.transpose(axes).tobytes() not in graph().flatbuffer, name


def test_any_patch_can_be_folded_in_and_is_rounded_then():
    entry = next(entry for entry in PLAIN if entry.name.startswith("delta"))
    edits, head = exported.edits(entry), exported.head(8, seed=1)
    folded = feed(graph(), edits, "folded")
    given = {**folded.inputs, signatures.HEAD_W: head["w"], signatures.HEAD_B: head["b"]}
    given[signatures.IMAGES] = seeded(2)
    got = Engine(folded.flatbuffer, 1).run("folded_32_2", given, signatures.LOGITS)
    patched = apply_edits(exported.weights(), edits)
    wanted = np.asarray(exported.features(patched, seeded(2))) @ head["w"] + head["b"]
    assert 0 < export_parity.difference(wanted, got) < 0.1


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "narrow.tflite"
    write_graph(path, graph())
    assert read_graph(path).kernels == graph().kernels
    return Device(path)


@pytest.mark.parametrize("entry", SHARED, ids=lambda entry: entry.name)
def test_every_patch_gives_the_logits_that_it_states_for_rounded_kernels(device, tmp_path, entry):
    made = exported.contents("one", entry)
    exact, coarse = np.array(made.parity.logits), np.array(made.parity.int8_logits)
    assert np.abs(exact - coarse).max() > 10 * made.parity.tolerance
    for how in ("auto", "folded"):
        assert device.install(exported.patch_file(tmp_path, made), how) == "one"


def test_a_patch_that_states_none_is_allowed_what_rounding_does_and_no_more(device, tmp_path):
    made = exported.contents("one")
    older = dataclasses.replace(made.parity, int8_logits=None)
    file = exported.patch_file(tmp_path, dataclasses.replace(made, parity=older))
    strict = tmp_path / "strict.tflite"
    write_graph(strict, dataclasses.replace(graph(), tolerance=0.0))
    with pytest.raises(errors.ParityError):
        Device(strict).install(file)
    assert device.install(file) == "one"
    swapped = dataclasses.replace(older, logits=older.logits[::-1])
    other = exported.patch_file(tmp_path, dataclasses.replace(made, parity=swapped))
    with pytest.raises(errors.ParityError):
        device.install(other)
