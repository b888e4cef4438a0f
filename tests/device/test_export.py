"""Exported graphs against JAX: every family and every kind of signature, one task's own graph."""

import jax
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.export import export_parity, litert
from adapters.export.jax_program import jax_program
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import fed, feed
from adapters.store import parity
from adapters.store.edits import apply_edits
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.device import exported
from tests.patches.table import PLAIN

CLASSES = 8
TOLERANCE = 1e-5  # of the largest logit
# Patches that no shared graph has room for, one that replaces all, one of every other kind.
OWN = [
    entry
    for entry in PLAIN
    if "adapter" in entry.name
    or entry.name.startswith(("full", "mask(affine", "lora(rank=2)", "blocks"))
]


def seeded(count, side=narrow.SIZE):
    return np.stack([parity.seeded_image(seed, (side, side, 3)) for seed in range(count)])


def graph_of(network, weights, epsilon, sizes=(32,)):
    settings = litert.Settings(CLASSES, sizes, (1, 2), signatures.KINDS)
    return litert.export_backbone(
        "narrow", network, weights, "0" * 64, epsilon, narrow.PIXELS, settings
    )


@pytest.mark.parametrize(
    ("name", "padding", "epsilon"),
    [*((name, "same", 1e-3) for name in FAMILIES), ("mobilenet_v2", "symmetric", 1e-5)],
)
def test_every_family_answers_as_in_jax(name, padding, epsilon):
    network = build(FAMILIES[name], padding, epsilon)
    drawn = jax.jit(network.init)(jax.random.key(0))
    weights = jax.tree.map(np.asarray, narrow.disturbed(drawn, seed=1))
    graph = graph_of(network, weights, epsilon)
    found = export_parity.graph_differences(graph, network, weights, {32: seeded(2)})
    kinds = [f"{kind}_32_{batch}" for kind in ("norms", "depthwise", "folded") for batch in (1, 2)]
    assert sorted(found) == sorted(kinds)
    assert max(found.values()) < TOLERANCE


def test_sizes_and_batches_share_the_weights():
    one = graph_of(narrow.BACKBONE, exported.weights(), narrow.EPSILON)
    two = graph_of(narrow.BACKBONE, exported.weights(), narrow.EPSILON, sizes=(32, 48))
    copies = {len(place.offsets) for place in (*two.kernels.values(), *two.biases.values())}
    assert copies == {1}
    images = {32: seeded(2), 48: seeded(2, side=48)}
    found = export_parity.graph_differences(two, narrow.BACKBONE, exported.weights(), images)
    assert len(found) == 2 * len(one.inputs) * 2
    assert max(found.values()) < TOLERANCE


def test_depthwise_layers_are_native_and_each_norm_multiplies_once():
    """What is fast in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=exported.graph().flatbuffer)
    operations = [details["op_name"] for details in interpreter._get_ops_details()]
    assert operations.count("DEPTHWISE_CONV_2D") == 3
    norms = sum("mean" in leaves for leaves in exported.weights().values())
    assert operations.count("MUL") == norms + 2  # squeeze-excite and its gate


def test_the_graph_keeps_every_weight_to_the_bit():
    assert exported.graph().backbone == "narrow"
    kept = exported.graph().weights
    assert kept.keys() == exported.weights().keys()
    for module, leaves in exported.weights().items():
        assert kept[module].keys() == leaves.keys()
        for name, leaf in leaves.items():
            np.testing.assert_array_equal(kept[module][name], leaf)


def test_equal_leaves_stay_apart():
    """Two kernels alike, and biases of zero: writing into one must not change the other."""
    weights = {module: dict(leaves) for module, leaves in exported.weights().items()}
    weights["block_03/depthwise"]["w"] = np.ones_like(weights["block_03/depthwise"]["w"])
    weights["block_01/depthwise"]["w"] = np.ones_like(weights["block_01/depthwise"]["w"])
    graph = graph_of(narrow.BACKBONE, weights, narrow.EPSILON)
    starts = [offset for place in graph.kernels.values() for offset in place.offsets]
    assert len(set(starts)) == len(starts) == len(graph.kernels)
    edits = {"replace": {"block_03/depthwise": {"w": 2 * weights["block_03/depthwise"]["w"]}}}
    folded = feed(graph, edits, "folded")
    patched = apply_edits(weights, edits)
    head = exported.head(CLASSES, seed=0)
    inputs = {signatures.HEAD_W: head["w"], signatures.HEAD_B: head["b"]}
    got = Engine(folded.flatbuffer, 1).run(
        "folded_32_2", {**folded.inputs, **inputs, signatures.IMAGES: seeded(2)}, signatures.LOGITS
    )
    wanted = np.asarray(exported.features(patched, seeded(2))) @ head["w"] + head["b"]
    assert export_parity.difference(wanted, got) < TOLERANCE


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: entry.name)
def test_any_patch_has_a_graph_of_its_own(entry):
    """Adapters beside layers too, which no shared graph has room for."""
    edits, head = exported.edits(entry), exported.head(3, seed=0)
    weights = exported.weights()
    graph = litert.export_task(
        narrow.BACKBONE, weights, narrow.EPSILON, edits, head, narrow.SIZE, (2,)
    )
    patched = apply_edits(weights, edits)
    found = export_parity.task_differences(graph, narrow.BACKBONE, patched, head, (2,), seeded(2))
    assert list(found) == ["run_2"]
    assert found["run_2"] < TOLERANCE


def test_a_graph_that_answers_otherwise_is_noticed():
    graph = exported.graph()
    other = {module: dict(leaves) for module, leaves in exported.weights().items()}
    other["tail/norm"]["offset"] = other["tail/norm"]["offset"] + np.float32(1e-2)
    images = {narrow.SIZE: seeded(4)}
    found = export_parity.graph_differences(graph, narrow.BACKBONE, other, images)
    with pytest.raises(export_parity.ExportParityError, match=r"differs from JAX by .* 0.0001"):
        export_parity.check(found, 1e-4)
    with pytest.raises(export_parity.ExportParityError, match="nan"):
        export_parity.check({"folded_32_1": float("nan")}, 1e-4)


def test_a_leaf_that_conversion_changes_is_reported(monkeypatch):
    flatbuffer = litert.converter.flatbuffer

    def otherwise(parts):
        lost = next(iter(litert.recognisable(exported.weights())["tail"].values()))
        return flatbuffer(parts).replace(np.ascontiguousarray(lost.T).tobytes(), bytes(lost.nbytes))

    monkeypatch.setattr(litert.converter, "flatbuffer", otherwise)
    with pytest.raises(litert.ExportError, match="conversion has changed tail/w"):
        graph_of(narrow.BACKBONE, exported.weights(), narrow.EPSILON)


def test_a_jax_program_takes_patches_and_heads_as_arguments():
    shapes = {
        m: {n: leaf.shape for n, leaf in own.items()} for m, own in exported.weights().items()
    }
    program = jax.export.deserialize(bytearray(jax_program(narrow.BACKBONE, shapes, 32, 2)))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    for entry, classes in ((PLAIN[0], 3), (PLAIN[2], 5)):
        patched = apply_edits(exported.weights(), exported.edits(entry))
        head = exported.head(classes, seed=1)
        wanted = np.asarray(exported.features(patched, seeded(2))) @ head["w"] + head["b"]
        got = np.asarray(program.call(patched, head, seeded(2))["logits"])
        assert export_parity.difference(wanted, got) < TOLERANCE


def test_a_kind_that_was_not_exported_is_said():
    from adapters.runtime.feeds import UnsupportedPatchError

    settings = litert.Settings(CLASSES, (32,), (1,), (signatures.NORMS,))
    graph = litert.export_backbone(
        *("narrow", narrow.BACKBONE, exported.weights(), "0" * 64, narrow.EPSILON),
        *(narrow.PIXELS, settings),
    )
    assert graph.biases == {}
    with pytest.raises(UnsupportedPatchError, match="'folded'"):
        fed(graph, signatures.FOLDED, graph.weights)
