"""How a patch gets into an exported graph: as its inputs, or written into its constants."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.modules import is_norm, layer_of, norm_of
from adapters.runtime import signatures
from adapters.runtime.channels import without_statistics
from adapters.runtime.fold import fold_norms
from adapters.runtime.graph_file import Graph, leaf_of
from adapters.store.edits import apply_edits
from adapters.store.kinds import Edits, leaf_and_part
from adapters.vocabulary import MODULATION

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Mapping[str, Array]]
How = Literal["auto", "inputs", "folded"]
HOWS: tuple[How, ...] = ("auto", "inputs", "folded")


class UnsupportedPatchError(ModelPatchError):
    """A patch that this graph cannot take, or not in the way that was asked for."""


class OtherSizeError(UnsupportedPatchError):
    """A patch that looks at images of another size than those the graph was exported for."""


class Feed(NamedTuple):
    """A patch, ready to run.

    Attributes:
      kind: of the signatures to call.
      inputs: what they take beside images and head.
      flatbuffer: the graph with the patch in it; None: the graph as it was exported.
    """

    kind: str
    inputs: dict[str, Array]
    flatbuffer: bytes | None


def feed(graph: Graph, edits: Edits, how: How) -> Feed:
    """Prepares a patch's edits.

    Args:
      graph: of the patch's backbone.
      edits: as `read_patch` gave them, checked against the graph's shapes.
      how: "inputs" feeds the patch at each call, so that all tasks share one graph; "folded" writes
        it into a graph of its own, which is faster to run and takes a backbone's memory; "auto"
        folds what cannot be fed.

    Raises:
      UnsupportedPatchError: the patch adds paths beside layers, or skips blocks; or `how` is
        "inputs" and it changes what is no input, or "folded" and the graph has no such signatures.
    """
    changed = _changed(graph.weights, edits)
    reached = {kind: _reached(graph.weights, graph.inputs, kind) for kind in _FED}
    kind = next((kind for kind in _FED if changed <= reached[kind]), None)
    if how == "inputs" and kind is None:
        raise UnsupportedPatchError(
            f"the patch changes {min(changed - reached[signatures.NORMS])}, which this graph does "
            'not take as an input. Install it with how="folded"; depthwise kernels can also be '
            "made inputs, when the graph is exported.",
            settings=["depthwise"],
        )
    if kind is None or how == "folded":
        kind = signatures.FOLDED
    return fed(graph, kind, apply_edits(graph.weights, edits))


def check_how(how: str) -> None:
    """Raises UnknownNameError for what is no way to install a patch."""
    if how not in HOWS:
        raise UnknownNameError("way to install a patch", how, HOWS)


def fed(graph: Graph, kind: str, weights: Weights) -> Feed:
    """Prepares a patched backbone's weights for the signatures of one kind.

    Raises UnsupportedPatchError when the graph has no such signatures.
    """
    if kind not in graph.inputs:
        raise UnsupportedPatchError(
            f"this graph was exported without signatures of the kind {kind!r}: export it again."
        )
    data = None
    if kind == signatures.FOLDED:
        weights = fold_norms(weights, graph.epsilon)
        data = bytearray(graph.flatbuffer)
        for places in (graph.kernels, graph.biases):
            for name, place in places.items():
                place.write(data, leaf_of(weights, name))
    inputs = folded_vectors(graph.inputs[kind], weights, graph.epsilon)
    return Feed(kind, inputs, None if data is None else bytes(data))


def folded_vectors(names: Iterable[str], weights: Weights, epsilon: float) -> dict[str, Array]:
    """What a graph takes as `names`, `module/leaf` each: norms folded with their statistics."""
    reduced = without_statistics(weights, epsilon)
    vectors = {name: np.ascontiguousarray(leaf_of(reduced, name)) for name in names}
    return _kept(vectors)


def patch_inputs(weights: Weights, epsilon: float, edits: Edits, kind: str) -> dict[str, Array]:
    """All that a graph with inputs of a kind takes beside images and head, for a patch's edits.

    Args:
      weights: of the backbone, float32.
      epsilon: of its norms.
      edits: as `read_patch` gave them, checked against the weights' shapes.
      kind: `norms` or `depthwise`, of `adapters.runtime.signatures`.

    Raises UnsupportedPatchError where the patch changes what is no input.
    """
    names = signatures.inputs(kind, weights)
    beyond = _changed(weights, edits) - _reached(weights, {kind: names}, kind)
    if beyond:
        raise UnsupportedPatchError(
            f"the patch changes {min(beyond)}, which graphs with inputs of the kind {kind!r} do "
            "not take. Depthwise kernels can be inputs too, when the graph is exported; for any "
            "other patch, export a graph for this task alone.",
            settings=["depthwise"],
        )
    return folded_vectors(sorted(names), apply_edits(weights, edits), epsilon)


def _kept(inputs: dict[str, Array]) -> dict[str, Array]:
    """The same, read-only: an engine then takes them once, and not at each call."""
    for array in inputs.values():
        array.flags.writeable = False
    return inputs


_FED = (signatures.NORMS, signatures.DEPTHWISE)


def _changed(weights: Weights, edits: Edits) -> set[str]:
    """`module/leaf` of all that the edits change."""
    changed = set()
    for kind, modules in edits.items():
        for module, named in modules.items():
            for name in named:
                leaf = leaf_and_part(kind, name)[0]
                if kind == "insert" and not _modulates(weights, module, leaf):
                    raise UnsupportedPatchError(
                        f"the patch adds {module}/{leaf}, which no weights of this graph can take "
                        "up. Export a graph for this task alone."
                    )
                changed.add(f"{module}/{leaf}")
    return changed


def _modulates(weights: Weights, module: str, leaf: str) -> bool:
    return leaf in MODULATION and is_norm(weights.get(norm_of(module), {}))


def _reached(weights: Weights, inputs: Mapping[str, Iterable[str]], kind: str) -> set[str]:
    """`module/leaf` of all that inputs of signatures of this kind can express."""
    if kind not in inputs:
        return set()
    norms = {module for module, leaves in weights.items() if is_norm(leaves)}
    return {
        *inputs[kind],
        *(f"{norm}/{leaf}" for norm in norms for leaf in weights[norm]),
        *(f"{layer_of(norm)}/{leaf}" for norm in norms for leaf in MODULATION),
    }
