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
from adapters.inference.compiled import Inference
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import check_size, feed, padded_head, patch_inputs
from adapters.runtime.graph_file import read_graph
from adapters.runtime.input_file import write_inputs
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits

Array = npt.NDArray[Any]
Run = Callable[[Array], Array]

JAVASCRIPT = pathlib.Path(__file__).resolve().parents[2] / "javascript"


class GraphError(ModelPatchError):
    """A graph that a patch cannot be evaluated on."""


class NodeError(ModelPatchError):
    """Node, or what a graph needs in it, is missing, or refuses the graph."""


def opened(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference, *, node: bool
) -> tuple[str, Run]:
    """What results call the runtime of the graph at `path`, and the graph with a patch.

    It maps images [network.examples, size, size, 3] to logits [network.examples, classes].

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
    check_size(contents.task, network.size, graph.sizes)
    made = feed(graph, contents.edits, "auto")
    engine = Engine(made.flatbuffer or graph.flatbuffer, threads=1)
    inputs = {**made.inputs, **padded_head(contents.task, contents.head, graph)}
    batch = max((count for count in graph.batches if network.examples % count == 0), default=0)
    if not batch:
        raise GraphError(
            f"{path} takes {', '.join(map(str, graph.batches))} images in a call, none of which "
            f"divides {network.examples}. Export it for one image in a call too.",
            settings=["batches"],
        )
    signature = signatures.signature(made.kind, network.size, batch)

    def run(images: Array) -> Array:
        parts = [
            engine.run(
                signature,
                {**inputs, signatures.IMAGES: images[start : start + batch]},
                signatures.LOGITS,
            )
            for start in range(0, len(images), batch)
        ]
        return np.concatenate(parts)[:, : len(contents.labels)]

    kernels = "int8" if graph.kernels_are_int8 else "float32"
    return f"LiteRT {kernels}, {'inputs' if made.flatbuffer is None else 'folded'}", run


def _onnx(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    session, inputs = _onnx_inputs(path, contents, backbone, network)
    inputs |= {signatures.HEAD_W: contents.head["w"], signatures.HEAD_B: contents.head["b"]}
    return "ONNX Runtime, inputs", lambda images: session.run({**inputs, signatures.IMAGES: images})


def _node(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    if shutil.which("node") is None:
        raise NodeError("Node.js is needed, version 20 or newer; there is no `node` on PATH.")
    if not (JAVASCRIPT / "node_modules").exists():
        raise NodeError("the graph needs packages to run in Node: npm ci --prefix javascript")
    _, inputs = _onnx_inputs(path, contents, backbone, network)
    graph = pathlib.Path(path).resolve()

    def run(images: Array) -> Array:
        with tempfile.TemporaryDirectory() as folder:
            patch, pixels = pathlib.Path(folder, "patch"), pathlib.Path(folder, "images")
            write_inputs(patch, contents, inputs)
            pixels.write_bytes(np.ascontiguousarray(images, "<f4").tobytes())
            command = ["node", "logits.mjs", str(graph), str(patch), str(pixels)]
            ended = subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, text=True)
        if ended.returncode:
            raise NodeError(f"Node cannot run {path}: {ended.stderr.strip()}")
        return np.array(json.loads(ended.stdout), np.float32)

    return "ONNX Runtime in Node, inputs", run


def _onnx_inputs(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[Session, dict[str, Array]]:
    """The graph, which was checked to be for this patch, and what it takes of the patch's edits."""
    session = Session(pathlib.Path(path).read_bytes(), threads=1)
    about = session.about
    if "inputs" not in about:
        raise GraphError(f"{path} takes no patches: give an exported backbone.")
    _check(path, about["fingerprint"], backbone.fingerprint)
    check_size(contents.task, network.size, (about["size"],))
    weights = own_weights(backbone.network, backbone.weights)
    epsilon = backbone.checkpoint.epsilon
    return session, patch_inputs(weights, epsilon, contents.edits, about["inputs"])


def _jax(
    path: str, contents: PatchContents, backbone: Loaded, network: Inference
) -> tuple[str, Run]:
    try:
        program = export.deserialize(bytearray(pathlib.Path(path).read_bytes()))
        batch, size = program.in_avals[-1].shape[:2]
    except Exception as error:  # whatever a damaged file makes of the reader
        raise GraphError(f"{path} is no backbone exported to jax: {error}") from error
    check_size(contents.task, network.size, (size,))
    if network.examples % batch:
        raise GraphError(
            f"{path} takes {batch} images in a call, which does not divide {network.examples}. "
            "Export it for one image in a call.",
            settings=["batches"],
        )
    patched = apply_edits(backbone.weights, contents.edits)

    def run(images: Array) -> Array:
        starts = range(0, len(images), batch)
        parts = [
            program.call(patched, contents.head, images[start : start + batch]) for start in starts
        ]
        return np.concatenate([np.asarray(part) for part in parts])

    return "jax.export", run


def _check(path: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise GraphError(f"{path} holds other weights than the patch's backbone: export it again.")
