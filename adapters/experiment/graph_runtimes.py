"""What runs an exported graph that takes patches, each fed with one patch."""

import json
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from jax import export

from adapters.errors import ModelPatchError
from adapters.experiment.backbones import Loaded
from adapters.export.litert import own_weights
from adapters.export.onnx.session import Session
from adapters.heads import linear
from adapters.heads.filling import emptied
from adapters.inference.compiled import Inference, joined
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import feed, patch_inputs
from adapters.runtime.graph_file import read_graph
from adapters.runtime.input_file import write_inputs
from adapters.runtime.room_choice import find_room, head_inputs, room_of
from adapters.runtime.rooms import Room
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits

Array = npt.NDArray[Any]
Run = Callable[[Array], dict[str, Array]]

JAVASCRIPT = pathlib.Path(__file__).resolve().parents[2] / "javascript"


class GraphError(ModelPatchError):
    """A graph that a patch cannot be evaluated on."""


class NodeError(ModelPatchError):
    """Node, or what a graph needs in it, is missing, or refuses the graph."""


def opened(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference, *, node: bool
) -> tuple[str, Run]:
    """What results call the runtime of the graph at `path`, and the graph with a patch.

    It maps images [network.examples, size, size, 3] to predictions {name: [network.examples, ...]}.

    Args:
      path: of a `.onnx` graph, a `.jax` program or else a LiteRT graph.
      contents: of the patch.
      backbone: which the patch is for.
      network: says how large images are, and how many come at once.
      node: run an ONNX graph in Node instead of Python.

    Raises GraphError, NodeError, GraphFileError, ONNXError, UnsupportedPatchError.
    """
    ending = pathlib.Path(path).suffix
    if node and ending != ".onnx":
        raise GraphError(
            f"Node runs ONNX graphs, and {path} is none: run it here.", settings=["node"]
        )
    openers = {".onnx": _node if node else _onnx, ".jax": _jax}
    return openers.get(ending, _litert)(path, contents, backbone, network)


def _litert(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    graph = read_graph(path)
    _check(path, graph.fingerprint, backbone.fingerprint)
    room = find_room(contents, network.size, graph.rooms)
    made = feed(graph, contents.edits, "auto")
    engine = Engine(made.flatbuffer or graph.flatbuffer, threads=1)
    inputs = {**made.inputs, **head_inputs(contents, room)}
    batch = max((count for count in graph.batches if network.examples % count == 0), default=0)
    if not batch:
        raise GraphError(
            f"{path} takes {', '.join(map(str, graph.batches))} images in a call, none of which "
            f"divides {network.examples}. Export it for one image in a call too.",
            settings=["batches"],
        )
    signature = graph.signature(made.kind, room, batch)

    def run(images: Array) -> dict[str, Array]:
        starts = range(0, len(images), batch)
        parts = (images[start : start + batch] for start in starts)
        found = joined(
            engine.predictions(signature, {**inputs, signatures.IMAGES: part}) for part in parts
        )
        return emptied(found, room.outputs - len(contents.labels))

    kernels = "int8" if graph.kernels_are_int8 else "float32"
    return f"LiteRT {kernels}, {'inputs' if made.flatbuffer is None else 'folded'}", run


def _onnx(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    session, inputs, room = _onnx_inputs(path, contents, backbone, network)
    inputs |= head_inputs(contents, room)
    surplus = room.outputs - len(contents.labels)

    def run(images: Array) -> dict[str, Array]:
        return emptied(session.predictions({**inputs, signatures.IMAGES: images}), surplus)

    return "ONNX Runtime, inputs", run


def _node(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    if shutil.which("node") is None:
        raise NodeError("Node.js is needed, version 20 or newer; there is no `node` on PATH.")
    if not (JAVASCRIPT / "node_modules").exists():
        raise NodeError("the graph needs packages to run in Node: npm ci --prefix javascript")
    _, inputs, room = _onnx_inputs(path, contents, backbone, network)
    if room.head.computes != linear.COMPUTES:
        raise GraphError(
            f"the head {room.head.computes} is not read from Node yet: run {path} here.",
            settings=["node"],
        )
    graph = pathlib.Path(path).resolve()

    def run(images: Array) -> dict[str, Array]:
        with tempfile.TemporaryDirectory() as folder:
            patch, pixels = pathlib.Path(folder, "patch"), pathlib.Path(folder, "images")
            write_inputs(patch, contents, inputs)
            pixels.write_bytes(np.ascontiguousarray(images, "<f4").tobytes())
            command = ["node", "logits.mjs", str(graph), str(patch), str(pixels)]
            ended = subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, text=True)
        if ended.returncode:
            raise NodeError(f"Node cannot run {path}: {ended.stderr.strip()}")
        return {signatures.LOGITS: np.array(json.loads(ended.stdout), np.float32)}

    return "ONNX Runtime in Node, inputs", run


def _onnx_inputs(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[Session, dict[str, Array], Room]:
    """The graph, checked to be for this patch, what it takes of the patch's edits, and the room."""
    session = Session(pathlib.Path(path).read_bytes(), threads=1)
    about = session.about
    if "inputs" not in about:
        raise GraphError(f"{path} takes no patches: give an exported backbone.")
    _check(path, about["fingerprint"], backbone.fingerprint)
    read = {linear.FEATURES: backbone.network.table.features}
    pooled: tuple[Any, ...] = ("classification", {}, read, len(contents.labels), about["size"])
    room = find_room(contents, network.size, [Room(*about.get("room", pooled))])
    weights = own_weights(backbone.network, backbone.weights)
    epsilon = backbone.checkpoint.epsilon
    return session, patch_inputs(weights, epsilon, contents.edits, about["inputs"]), room


def _jax(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    try:
        program = export.deserialize(bytearray(pathlib.Path(path).read_bytes()))
        batch, size = program.in_avals[-1].shape[:2]
    except Exception as error:  # whatever a damaged file makes of the reader
        raise GraphError(f"{path} is no backbone exported to jax: {error}") from error
    find_room(contents, network.size, [room_of(contents, size)])
    if network.examples % batch:
        raise GraphError(
            f"{path} takes {batch} images in a call, which does not divide {network.examples}. "
            "Export it for one image in a call.",
            settings=["batches"],
        )
    patched = apply_edits(backbone.weights, contents.edits)

    def run(images: Array) -> dict[str, Array]:
        starts = range(0, len(images), batch)
        try:
            return joined(
                {name: np.asarray(rows) for name, rows in found.items()}
                for start in starts
                for found in [program.call(patched, contents.head, images[start : start + batch])]
            )
        except (ValueError, AttributeError) as error:  # other leaves, or logits with no name
            raise GraphError(
                f"{path} is for another head than that of {contents.task}: export it again, for "
                "this patch's.",
                settings=["heads_of"],
            ) from error

    return "jax.export", run


def _check(path: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise GraphError(f"{path} holds other weights than the patch's backbone: export it again.")
