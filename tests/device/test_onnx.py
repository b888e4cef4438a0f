"""ONNX graphs in ONNX Runtime against JAX: every family, every patch, and what graphs are of."""

import collections
import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from adapters.backbones.builder import build
from adapters.backbones.necks import with_neck
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable
from adapters.backbones.taps import channels, place
from adapters.benchmarking import stand_ins
from adapters.export import export_parity
from adapters.export.litert import own_weights
from adapters.export.onnx import convert, differences, export
from adapters.export.onnx.installed import ONNXError
from adapters.export.onnx.session import KEY, Session
from adapters.export.onnx.values import UnsupportedOperationError
from adapters.heads.classification import classification
from adapters.heads.registry import from_spec
from adapters.patches.combine import reading
from adapters.patches.registry import from_spec as patch_from_spec
from adapters.runtime import input_file, signatures
from adapters.runtime.feeds import UnsupportedPatchError, patch_inputs
from adapters.store import parity
from adapters.store.edits import apply_edits
from adapters.training import packing
from tests import narrow
from tests.backbones.families import FAMILIES
from tests.device import exported
from tests.patches.table import PLAIN

TOLERANCE = 1e-5  # of the largest logit
KINDS = (signatures.NORMS, signatures.DEPTHWISE)
FED = ("head_only", "bias", "scale_bias", "film", "depthwise")  # families that can be inputs
WRAPPED = ("last(", "spotpatch(", "chain", "late ")


@pytest.fixture(scope="module", autouse=True)
def _onnx():
    missing = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


def seeded(count, side=narrow.SIZE):
    return np.stack([parity.seeded_image(seed, (side, side, 3)) for seed in range(count)])


@pytest.fixture(scope="module")
def sessions():
    """The narrow backbone in a graph of either kind."""
    return {
        kind: Session(
            export.export_backbone(narrow.BACKBONE, exported.weights(), kind, narrow.SIZE, {}), 1
        )
        for kind in KINDS
    }


@pytest.mark.parametrize(
    ("name", "padding", "epsilon"),
    [*((name, "same", 1e-3) for name in FAMILIES), ("mobilenet_v2", "symmetric", 1e-5)],
)
def test_every_family_answers_as_in_jax(name, padding, epsilon):
    network = build(FAMILIES[name], padding, epsilon)
    drawn = stand_ins.weights(network.table)
    weights = jax.tree.map(np.asarray, narrow.disturbed(drawn, seed=1))
    head, images = exported.head(3, seed=0), seeded(2)
    head["w"] = np.resize(head["w"], (network.table.features, 3))
    found = export_parity.jax_predictions(network, weights, classification(), head, images)
    wanted = found["logits"]
    for kind in KINDS:
        graph = export.export_backbone(network, weights, kind, 32, {})
        inputs = patch_inputs(weights, epsilon, {}, kind)
        inputs |= {signatures.HEAD_W: head["w"], signatures.HEAD_B: head["b"]}
        got = Session(graph, 1).run({**inputs, signatures.IMAGES: images})
        assert export_parity.difference(wanted, got) < TOLERANCE
    own = export.export_task(network, weights, epsilon, {}, head, 32, {})
    got = Session(own, 1).run({signatures.IMAGES: images})
    assert export_parity.difference(wanted, got) < TOLERANCE


@pytest.mark.parametrize(("neck", "tap"), [("deeplab_atrous", "neck_02"), ("mosaic", "neck_04")])
def test_decoders_answer_as_in_jax(neck, tap):
    """Of a network with maps of an eighth of the side and more."""
    halving = InvertedResidual(inputs=4, outputs=4, kernel=3, expanded=8, stride=2)
    stem = Convolution(inputs=3, outputs=4, kernel=3, stride=2, activation="relu")
    network = build(with_neck(LayerTable("halving", (stem, halving, halving)), neck))
    drawn = stand_ins.weights(network.table)
    weights = jax.tree.map(np.asarray, narrow.disturbed(drawn, seed=2))
    kind, images = from_spec(f"segmentation(low=none, high={tap})"), seeded(2)
    generator = np.random.default_rng(3)
    shapes = kind.shapes({tap: channels(network.table, tap)}, 3)
    head = {leaf: generator.normal(size=shapes[leaf]).astype(np.float32) for leaf in shapes}
    wanted = export_parity.jax_predictions(network, weights, kind, head, images)["logits"]
    own = export.export_task(network, weights, 1e-3, {}, head, narrow.SIZE, {}, kind=kind)
    found = Session(own, 1).run({signatures.IMAGES: images})
    assert export_parity.difference(wanted, found) < TOLERANCE


def test_masks_gather_their_pixels_as_in_jax():
    """Which is a choice of the largest, pixel by pixel."""
    spec = "panoptic(low=stride_2, high=stride_4, queries=5, dimension=8, blocks=1)"
    kind, images = from_spec(spec), seeded(2)
    read = {name: channels(narrow.TABLE, name) for name in kind.taps}
    head = export_parity.random_head(kind, read, 3)
    network = (narrow.BACKBONE, exported.weights())
    wanted = export_parity.jax_predictions(*network, kind, head, images)
    own = export.export_task(*network, narrow.EPSILON, {}, head, narrow.SIZE, {}, kind=kind)
    found = Session(own, 1).predictions({signatures.IMAGES: images})
    assert set(found) == {"logits", "masks"}
    assert len(set(wanted["masks"].argmax(axis=-1).ravel())) > 1
    for name, values in wanted.items():
        assert export_parity.difference(values, found[name]) < TOLERANCE


def kind_of(name):
    """By a patch's name: of which inputs it is, if it can be fed at all."""
    spec = name.rpartition(",")[0] or name
    for wrapper in ("last(", "spotpatch(", "random_gates("):
        spec = spec.removeprefix(wrapper)
    parts = {part.partition(",")[0].strip(")").split(" ")[-1] for part in spec.split("+")}
    if spec.startswith("chain of one"):
        parts = {"scale_bias"}
    if not parts <= set(FED):
        return None
    return signatures.DEPTHWISE if "depthwise" in parts else signatures.NORMS


FEEDABLE = [entry for entry in PLAIN if kind_of(entry.name)]
OWN = [
    entry
    for entry in PLAIN
    if "adapter" in entry.name
    or entry.name.startswith(("full", "mask(affine", "lora(rank=2)", "blocks"))
]


def test_most_families_can_be_fed_and_the_rest_are_folded():
    assert {"film, frozen", "scale_bias+depthwise, frozen", "late scale_bias"} <= {
        entry.name for entry in FEEDABLE
    }
    assert not {entry.name for entry in FEEDABLE} & {entry.name for entry in OWN}


@pytest.mark.parametrize("entry", FEEDABLE, ids=lambda entry: entry.name)
def test_a_patch_is_fed(entry, sessions):
    edits, kind, head = exported.edits(entry), kind_of(entry.name), exported.head(5, seed=1)
    inputs = patch_inputs(exported.weights(), narrow.EPSILON, edits, kind)
    feed = {**inputs, signatures.HEAD_W: head["w"], signatures.HEAD_B: head["b"]}
    got = sessions[kind].run({**feed, signatures.IMAGES: seeded(3)})
    patched = apply_edits(exported.weights(), edits)
    wanted = np.asarray(exported.features(patched, seeded(3))) @ head["w"] + head["b"]
    assert got.shape == (3, 5)
    assert export_parity.difference(wanted, got) < TOLERANCE


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: entry.name)
def test_any_patch_has_a_graph_of_its_own(entry):
    edits, head, weights = exported.edits(entry), exported.head(3, seed=0), exported.weights()
    with pytest.raises(UnsupportedPatchError, match="xport a graph for this task alone"):
        patch_inputs(weights, narrow.EPSILON, edits, signatures.DEPTHWISE)
    graph = export.export_task(
        narrow.BACKBONE, weights, narrow.EPSILON, edits, head, narrow.SIZE, {}
    )
    patched = apply_edits(weights, edits)
    got = Session(graph, 1).run({signatures.IMAGES: seeded(2)})
    wanted = np.asarray(exported.features(patched, seeded(2))) @ head["w"] + head["b"]
    assert export_parity.difference(wanted, got) < TOLERANCE


def operations(graph):
    import onnx

    return collections.Counter(node.op_type for node in onnx.load_from_string(graph).graph.node)


def test_every_kernel_is_one_convolution_and_every_norm_one_operation():
    """What is fast in ONNX Runtime; images are brought into its order once."""
    weights = exported.weights()
    made = operations(
        export.export_backbone(narrow.BACKBONE, weights, signatures.NORMS, narrow.SIZE, {})
    )
    norms = sum("mean" in leaves for leaves in weights.values())
    assert made["Conv"] == made["BatchNormalization"] == norms
    assert made["Transpose"] == 1
    assert made["Mul"] == 1  # squeeze-excite
    assert not made["Einsum"]
    own = operations(
        export.export_task(
            narrow.BACKBONE,
            weights,
            narrow.EPSILON,
            {},
            exported.head(3, seed=0),
            narrow.SIZE,
            {},
        )
    )
    assert own["Conv"] == norms
    assert own["BatchNormalization"] == 0
    assert own["Transpose"] == 1


def test_a_network_that_looks_first_is_left_out():
    weights = {**exported.weights(), "preview/stem/norm": exported.weights()["stem/norm"]}
    kept = own_weights(narrow.BACKBONE, weights)
    assert kept.keys() == exported.weights().keys()
    assert patch_inputs(kept, narrow.EPSILON, {}, signatures.NORMS).keys() == signatures.inputs(
        signatures.NORMS, exported.weights()
    )


def test_no_input_can_be_left_out(sessions):
    head = exported.head(3, seed=0)
    inputs = patch_inputs(exported.weights(), narrow.EPSILON, {}, signatures.NORMS)
    feed = {**inputs, signatures.HEAD_W: head["w"], signatures.HEAD_B: head["b"]}
    for name in (signatures.IMAGES, signatures.HEAD_B, next(iter(inputs))):
        given = {**feed, signatures.IMAGES: seeded(1)}
        del given[name]
        with pytest.raises(ONNXError, match=name):
            sessions[signatures.NORMS].run(given)


def test_the_same_backbone_is_the_same_bytes_and_says_what_it_is():
    import onnx

    def graph():
        return export.export_backbone(
            narrow.BACKBONE, exported.weights(), signatures.NORMS, narrow.SIZE, {"backbone": "one"}
        )

    first = graph()
    assert first == graph()
    (entry,) = onnx.load_from_string(first).metadata_props
    assert entry.key == KEY
    assert json.loads(entry.value) == {"backbone": "one", "inputs": "norms"}


def test_what_has_no_operation_is_named():
    def cubic(image, _):
        return {"logits": jnp.cumsum(image[0, 0])}

    with pytest.raises(UnsupportedOperationError, match="'cumsum'"):
        convert.onnx_graph(
            cubic, jax.ShapeDtypeStruct((4, 4, 3), jnp.float32), {}, "images", {}, {}
        )


def test_a_graph_is_compared_with_jax():
    weights = exported.weights()
    graph = export.export_backbone(narrow.BACKBONE, weights, signatures.NORMS, narrow.SIZE, {})

    def found(weights):
        return differences.backbone_differences(
            graph, signatures.NORMS, narrow.BACKBONE, weights, narrow.EPSILON, seeded(8)
        )

    same = found(weights)
    assert list(same) == ["images_1", "images_8"]
    assert max(same.values()) < TOLERANCE
    other = {module: dict(leaves) for module, leaves in weights.items()}
    other["block_01/project"]["w"] = other["block_01/project"]["w"] + np.float32(1e-2)
    with pytest.raises(export_parity.ExportParityError, match="differs from JAX"):
        export_parity.check(found(other), 1e-4)


def test_shapes_are_followed_as_numpy_has_them():
    """Operations that only some networks need, in orders that none of ours has."""
    generator = np.random.default_rng(0)
    table = generator.standard_normal((3, 5), np.float32)

    def function(image, given):
        x = jnp.transpose(image, (1, 0, 2))[::2, 1:]  # [2, 5, 3]
        x = jnp.pad(x, ((1, 0), (0, 2), (0, 0)), constant_values=np.float32(0.5))
        x = x * given["by_row"][:, None, None] - jnp.max(x, axis=1, keepdims=True)
        x = x * jnp.ones((3, 7, 1)) + given["by_row"][None, None, :1]
        x = jnp.broadcast_to(jnp.sum(x, axis=0)[None], (2, 7, 3)).sum(axis=0) @ table
        return x.reshape(35)[:20].reshape(4, 5).T.reshape(-1) / jnp.float32(3)

    image = generator.standard_normal((4, 6, 4, 3), np.float32)  # four images
    rows = generator.standard_normal(3, np.float32)
    graph = convert.onnx_graph(
        lambda image, inputs: {"logits": function(image, inputs)},
        jax.ShapeDtypeStruct((6, 4, 3), jnp.float32),
        {"by_row": jax.ShapeDtypeStruct((3,), jnp.float32)},
        "images",
        {},
        {},
    )
    got = Session(graph, 1).run({"images": image, "by_row": rows})
    wanted = np.stack([function(jnp.asarray(one), {"by_row": jnp.asarray(rows)}) for one in image])
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_a_patch_as_a_file_of_inputs(sessions, tmp_path):
    made, path = exported.contents("one"), tmp_path / "one.safetensors"
    inputs = patch_inputs(exported.weights(), narrow.EPSILON, made.edits, signatures.NORMS)
    input_file.write_inputs(path, made, inputs)
    with safetensors.safe_open(path, "numpy") as opened:
        about = json.loads(opened.metadata()[input_file.KEY])
    assert about["labels"] == list(made.labels)
    assert "head" not in about  # of classifiers, files stay as they were
    assert about["preprocessing"] == exported.PREPROCESSING.to_json()
    given = safetensors.numpy.load_file(path)
    image = parity.seeded_image(made.parity.seed, made.parity.shape)
    logits = sessions[signatures.NORMS].run({**given, signatures.IMAGES: image[None]})
    np.testing.assert_allclose(logits[0], made.parity.logits, atol=1e-4)


def test_a_query_that_modulates_what_a_head_reads_is_an_input_of_a_task_s_graph():
    head = from_spec("ssdlite(maps=1, finest=4, coarsest=4, smallest=0.3)")
    patch = patch_from_spec("scale_bias+query_modulation(at=head)", "frozen")
    bound = reading(patch, {name: place(narrow.TABLE, name) for name in head.taps})
    params = bound.init(jax.random.key(0), narrow.weights())
    trained = narrow.disturbed(params.trained, seed=4, size=0.4)
    edits = packing.task_edits(bound, params._replace(trained=trained))
    assert "query_modulation/query/maps/stride_4" in edits["module"]
    width = {name: channels(narrow.TABLE, name) for name in head.taps}
    own, weights = export_parity.random_head(head, width, 2), exported.weights()
    graph = export.export_task(
        *(narrow.BACKBONE, weights, narrow.EPSILON, edits, own, narrow.SIZE, {}),
        *(patch.prepare, dict(patch.needs), head),
    )
    queries = np.eye(8, 16, dtype=np.float32)
    found = differences.task_differences(
        *(graph, narrow.BACKBONE, apply_edits(weights, edits), own, seeded(8), patch.prepare),
        others={"query": queries},
        kind=head,
    )
    assert max(found.values()) < TOLERANCE
    silent = Session(graph, 1).predictions({"images": seeded(1), "query": 0 * queries[:1]})
    asked = Session(graph, 1).predictions({"images": seeded(1), "query": queries[:1]})
    assert np.abs(asked["logits"] - silent["logits"]).max() > 0.01
