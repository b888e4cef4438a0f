"""Skipped blocks on a device: their patch file, one task's own graphs, and who refuses them."""

import dataclasses
import importlib.util
import math

import jax
import numpy as np
import pytest

from adapters.backbones.builder import build, expected_shapes
from adapters.backbones.sites import sites
from adapters.export import export_parity, litert
from adapters.export.onnx import export as onnx_export
from adapters.export.onnx.session import Session
from adapters.runtime import signatures
from adapters.runtime.feeds import UnsupportedPatchError, feed, patch_inputs
from adapters.store import errors, read
from adapters.store.edits import apply_edits
from adapters.store.encoding import ENCODINGS, rounded
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.device import exported

TOLERANCE = 1e-5  # of the largest logit
IMAGES = np.random.default_rng(0).standard_normal((2, narrow.SIZE, narrow.SIZE, 3), np.float32)
# A family for each kind of residual block, with a norm after its last convolution or none.
RESIDUAL = ("mobilenet_v2", "mobilenet_v4 convolutional", "mobilenet_v4 hybrid")


def edits_of(table, value, count=None):
    """A patch's that set the leaf `open` of the last blocks that may be skipped, or of all."""
    places = [site.path for site in sites(table) if site.takes_open]
    kept = places if count is None else places[-count:]
    return {"insert": {path: {"open": np.full(1, value, np.float32)} for path in kept}}


def kernel_bytes(table, edits):
    """Of the kernels of all blocks that these edits open or skip."""
    blocks = {site.block for site in sites(table) if site.path in edits["insert"]}
    own = (site for site in sites(table) if site.block in blocks and "w" in site.leaves)
    return sum(4 * math.prod(site.leaves["w"]) for site in own)


def drawn(family):
    network = build(FAMILIES[family], "same", narrow.EPSILON)
    weights = narrow.disturbed(jax.jit(network.init)(jax.random.key(0)), seed=1)
    return network, jax.tree.map(np.asarray, weights)


def answers(network, weights, head):
    features = jax.jit(jax.vmap(network.apply, (None, 0)))(weights, IMAGES).features
    return np.asarray(features) @ head["w"] + head["b"]


def head_of(network):
    generator = np.random.default_rng(5)
    shape = (network.table.features, 3)
    return {"w": generator.standard_normal(shape, np.float32), "b": np.zeros(3, np.float32)}


@pytest.mark.parametrize("family", RESIDUAL)
def test_a_task_s_own_graph_answers_as_in_jax_and_lacks_what_is_skipped(family):
    network, weights = drawn(family)
    head = head_of(network)
    sizes = {}
    for value in (0, 1):
        edits = edits_of(network.table, value, count=1)
        graph = litert.export_task(network, weights, narrow.EPSILON, edits, head, narrow.SIZE, (2,))
        patched = apply_edits(weights, edits)
        found = export_parity.task_differences(graph, network, patched, head, (2,), IMAGES)
        assert found["run_2"] < TOLERANCE
        sizes[value] = len(graph)
    plain = answers(network, weights, head)
    closed = answers(network, apply_edits(weights, edits_of(network.table, 0, count=1)), head)
    assert export_parity.difference(plain, closed) > 100 * TOLERANCE
    assert sizes[0] <= sizes[1] - kernel_bytes(network.table, edits)


@pytest.mark.parametrize("family", RESIDUAL)
def test_the_same_in_onnx(family):
    if not importlib.util.find_spec("onnxruntime") or not importlib.util.find_spec("onnx"):
        pytest.skip("not installed: onnx; `launch/test` installs what is missing")
    network, weights = drawn(family)
    head, sizes = head_of(network), {}
    for value in (0, 1):
        edits = edits_of(network.table, value)
        graph = onnx_export.export_task(
            network, weights, narrow.EPSILON, edits, head, narrow.SIZE, {}
        )
        got = Session(graph, 1).run({signatures.IMAGES: IMAGES})
        wanted = answers(network, apply_edits(weights, edits), head)
        assert export_parity.difference(wanted, got) < TOLERANCE
        sizes[value] = len(graph)
    assert sizes[0] <= sizes[1] - kernel_bytes(network.table, edits)


def test_shared_graphs_refuse_it_by_name():
    edits = edits_of(narrow.TABLE, 0)
    for how in ("auto", "inputs", "folded"):
        with pytest.raises(UnsupportedPatchError, match="adds block_01/project/open, which no"):
            feed(exported.graph(), edits, how)
    for kind in (signatures.NORMS, signatures.DEPTHWISE):
        with pytest.raises(UnsupportedPatchError, match="block_01/project/open"):
            patch_inputs(exported.weights(), narrow.EPSILON, edits, kind)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_file_keeps_it_as_it_is(tmp_path, encoding):
    edits = edits_of(narrow.TABLE, 1)
    edits["insert"]["block_03/project"]["open"] = np.zeros(1, np.float32)
    plain = exported.contents("one")
    _, head = rounded({}, plain.head, encoding)
    path = exported.patch_file(
        tmp_path, dataclasses.replace(plain, edits=edits, head=head, encoding=encoding)
    )
    found = read.read_patch(path, shapes=expected_shapes(narrow.TABLE), features=16)
    assert found.edits["insert"].keys() == edits["insert"].keys()
    for module, leaves in edits["insert"].items():
        np.testing.assert_array_equal(found.edits["insert"][module]["open"], leaves["open"])


@pytest.mark.parametrize(
    ("path", "shape", "error"),
    [
        ("block_03/depthwise", (1,), errors.ShapeMismatchError),
        ("block_03/project/norm", (1,), errors.ShapeMismatchError),
        ("block_02/squeeze_excite/reduce", (1,), errors.ShapeMismatchError),
        ("stem", (1,), errors.ShapeMismatchError),
        ("block_03/project", (12,), errors.ShapeMismatchError),
        ("block_03/project", (1, 1), errors.SchemaError),
    ],
)
def test_edits_put_it_beside_a_matrix_alone(path, shape, error):
    with pytest.raises(error, match=f"inserts {path}/open"):
        apply_edits(exported.weights(), {"insert": {path: {"open": np.ones(shape, np.float32)}}})
