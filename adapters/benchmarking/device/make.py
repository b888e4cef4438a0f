"""Every file that devices could be given, of one network with made-up weights and ten tasks."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones import registry
from adapters.backbones.builder import Backbone, build
from adapters.benchmarking import cases, stand_ins
from adapters.benchmarking.device import names
from adapters.export import litert
from adapters.export.jax_program import jax_program
from adapters.export.onnx import export as onnx
from adapters.fingerprint import fingerprint
from adapters.heads.contract import Head
from adapters.heads.registry import from_spec as from_head_spec
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference, inference, parity_vector
from adapters.patches.registry import from_spec
from adapters.preprocessing import Preprocessing
from adapters.runtime import signatures
from adapters.runtime.feeds import patch_inputs
from adapters.runtime.graph_file import Weights, write_graph
from adapters.runtime.input_file import write_inputs
from adapters.runtime.room_choice import room_of
from adapters.store.contents import PatchContents
from adapters.store.encoding import rounded
from adapters.store.kinds import Edits
from adapters.store.write import write_patch

TASKS = 10
PATCH = "scale_bias"
BATCHES = (1, 8)
EPSILON = 1e-3
PIXELS = (cases.PIXELS,) * 3
ENCODINGS = ("float32", "float16", "int8")


def write_files(backbone: str, size: int, folder: pathlib.Path, head: str = "") -> None:
    """Writes graphs of a layer table, patches of `TASKS` tasks and these as plain inputs.

    The tasks have this head, by default a classifier's; LiteRT's graphs have room for classifiers
    too, as all have.
    """
    table = registry.table(backbone)
    network, weights = build(table, epsilon=EPSILON), stand_ins.weights(table)
    mark, kind = fingerprint(weights), from_head_spec(head or "classification")
    compiled = inference(network, 1, size, taps=kind.taps)
    for number in range(TASKS):
        contents = patch_contents(backbone, weights, mark, compiled, kind, number)
        write_patch(folder / names.patch(number), contents)
        inputs = patch_inputs(weights, EPSILON, contents.edits, signatures.NORMS)
        write_inputs(folder / names.inputs(number), contents, inputs)
    first = patch_contents(backbone, weights, mark, compiled, kind, 0)
    for encoding in ENCODINGS:
        encoded = patch_contents(backbone, weights, mark, compiled, kind, 0, encoding)
        path = folder / names.encoded(encoding)
        path.parent.mkdir()
        write_patch(path, encoded)
    kinds = (signatures.NORMS, signatures.FOLDED)
    room = room_of(first, size) if head else None
    others = (room,) if room else ()
    for name, kernels in ((names.LITERT, litert.FLOAT32), (names.LITERT_INT8, litert.INT8)):
        settings = litert.Settings(
            cases.DEVICE_CLASSES, (size,), BATCHES, kinds, kernels, others=others
        )
        graph = litert.export_backbone(
            backbone, network, weights, mark, EPSILON, (PIXELS, PIXELS), settings
        )
        write_graph(folder / name, graph)
    _fused(network, weights, first, size, folder)
    about = {"backbone": backbone, "fingerprint": mark, "size": size}
    made = onnx.export_backbone(network, weights, signatures.NORMS, size, about, room)
    (folder / names.ONNX).write_bytes(made)
    shapes = {module: {n: leaf.shape for n, leaf in own.items()} for module, own in weights.items()}
    (folder / names.JAX).write_bytes(jax_program(network, shapes, size, max(BATCHES), room))


def _fused(
    network: Backbone,
    weights: Weights,
    contents: PatchContents,
    size: int,
    folder: pathlib.Path,
) -> None:
    own = (network, weights, EPSILON, contents.edits, contents.head, size)
    kind = head_of(contents)
    (folder / names.LITERT_FUSED).write_bytes(litert.export_task(*own, BATCHES, kind=kind))
    (folder / names.ONNX_FUSED).write_bytes(onnx.export_task(*own, {}, kind=kind))


def patch_contents(
    backbone: str,
    weights: Weights,
    mark: str,
    network: Inference,
    kind: Head,
    number: int,
    encoding: str = "float32",
) -> PatchContents:
    """A task's patch, each with a head of its own; of the network's own norms, moved a little."""
    patch = from_spec(PATCH)
    params = patch.init(jax.random.key(0), jax.tree.map(jnp.asarray, weights))
    generator = np.random.default_rng(number)
    edits: Edits = jax.tree.map(
        lambda leaf: np.asarray(leaf) + np.float32(0.01) * generator.random(leaf.shape, np.float32),
        patch.pack(params),
    )
    head = stand_ins.head_of(kind, registry.table(backbone), cases.DEVICE_CLASSES, generator)
    edits, head = rounded(edits, head, encoding)
    preprocessing = Preprocessing(network.size, PIXELS, PIXELS).to_json()
    return PatchContents(
        task=f"task_{number}",
        task_version="1",
        patch=PATCH,
        backbone=backbone,
        fingerprint=mark,
        norm="frozen",
        labels=tuple(map(str, range(cases.DEVICE_CLASSES))),
        metric=kind.metric.score,
        scores={"validation": 0.0},
        preprocessing=preprocessing,
        parity=parity_vector(*(network, weights, edits, head, preprocessing), apply=kind.apply),
        edits=edits,
        head=head,
        encoding=encoding,
        head_kind=kind.kind,
        head_settings=kind.settings,
    )
