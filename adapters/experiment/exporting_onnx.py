"""Exports to ONNX, and what such graphs take of a patch; each graph is compared with JAX first."""

import pathlib

from adapters import files
from adapters.experiment import exporting
from adapters.experiment.backbones import Loaded
from adapters.experiment.exporting import Comparison
from adapters.export import export_parity
from adapters.export.litert import own_weights
from adapters.export.onnx import differences
from adapters.export.onnx.export import export_backbone, export_task
from adapters.heads.registry import head_of
from adapters.inference.first_look import first_look
from adapters.runtime.feeds import patch_inputs
from adapters.runtime.input_file import about, write_inputs
from adapters.runtime.rooms import Room
from adapters.store.edits import apply_edits


def backbone_graph(
    backbone: Loaded,
    kind: str,
    size: int,
    comparison: Comparison,
    out: pathlib.Path,
    room: Room | None = None,
) -> str:
    """Writes the ONNX graph of a backbone with inputs of a kind; returns what to print.

    `room` is for heads that read other maps than the pooled features, of images of that size.
    Raises ExportParityError, and writes nothing, where it does not answer as JAX does.
    """
    graph, found = compared_graph(backbone, kind, size, comparison, room)
    files.write_bytes(out, graph)
    heads = "heads of any number of outputs"
    if room is not None:
        heads = f"{room.head.computes} of up to {room.outputs} outputs"
    said = f"{backbone.name} at {size} pixels, {heads}"
    return exporting.report(out, said, found, comparison, max(differences.BATCHES))


def compared_graph(
    backbone: Loaded, kind: str, size: int, comparison: Comparison, room: Room | None = None
) -> tuple[bytes, dict[str, float]]:
    """The ONNX graph of a backbone with inputs of a kind, and how far it is from JAX.

    Raises ExportParityError where it does not answer as JAX does.
    """
    weights = own_weights(backbone.network, backbone.weights)
    known = {"backbone": backbone.name, "fingerprint": backbone.fingerprint, "size": size}
    graph = export_backbone(backbone.network, weights, kind, size, known, room)
    images = exporting.pictures(backbone, comparison, size, differences.BATCHES)
    found = differences.backbone_differences(
        graph, kind, backbone.network, weights, backbone.checkpoint.epsilon, images, room
    )
    export_parity.check(found, comparison.tolerance)
    return graph, found


def task_graph(backbone: Loaded, patch: str, comparison: Comparison, out: pathlib.Path) -> str:
    """Writes the ONNX graph of one patch file's task, folded; returns what to print.

    Raises ExportParityError, and writes nothing, where it does not answer as JAX does, or a
    PatchFileError where the patch fails a check.
    """
    contents, preprocessing = exporting.checked_patch(backbone, patch, first_look)
    prepare = first_look(contents)
    graph = export_task(
        backbone.network,
        backbone.weights,
        backbone.checkpoint.epsilon,
        contents.edits,
        contents.head,
        preprocessing.size,
        about(contents),
        prepare,
        contents.inputs,
        head_of(contents),
    )
    images = exporting.prepared(comparison, preprocessing, differences.BATCHES)
    patched = apply_edits(backbone.weights, contents.edits)
    found = differences.task_differences(
        *(graph, backbone.network, patched, contents.head, images, prepare),
        others=exporting.seeded_inputs(contents, len(images)),
        kind=head_of(contents),
    )
    export_parity.check(found, comparison.tolerance)
    files.write_bytes(out, graph)
    said = f"{contents.task} on {backbone.name}, {exporting.outputs(contents)}"
    return exporting.report(out, said, found, comparison, max(differences.BATCHES))


def graph_inputs(backbone: Loaded, patch: str, kind: str, out: pathlib.Path) -> str:
    """Writes what a graph with inputs of a kind takes for a patch file; returns what to print.

    Raises PatchFileError where the patch fails a check, UnsupportedPatchError where it changes what
    is no input.
    """
    contents, _ = exporting.checked_patch(backbone, patch)
    weights = own_weights(backbone.network, backbone.weights)
    inputs = patch_inputs(weights, backbone.checkpoint.epsilon, contents.edits, kind)
    write_inputs(out, contents, inputs)
    return (
        f"{out}: {contents.task} on {backbone.name} as {len(inputs)} inputs of the kind "
        f"{kind!r} and a head of {exporting.outputs(contents)}, {out.stat().st_size:,} bytes"
    )
