"""Exports a backbone or one task, and compares every graph with JAX before it is written."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from adapters import files
from adapters.errors import ModelPatchError
from adapters.experiment.backbones import Loaded
from adapters.experiment.settings import SettingError
from adapters.export import export_parity
from adapters.export.jax_program import jax_program
from adapters.export.litert import FLOAT32, Settings, export_backbone, export_task
from adapters.heads import linear
from adapters.heads.registry import check_classifier, head_of
from adapters.inference.first_look import first_look, without_look
from adapters.inference.self_test import self_test
from adapters.patches.contract import Prepare
from adapters.preprocessing import Preprocessing, UnreadableImageError, decode, normalise, prepare
from adapters.runtime import signatures
from adapters.runtime.feeds import UnsupportedPatchError
from adapters.runtime.graph_file import write_graph
from adapters.runtime.room_choice import room_of
from adapters.runtime.rooms import Room
from adapters.store import parity
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch

Array = npt.NDArray[Any]


_NEEDS_A_FLAG = (
    "Made for this project's runtime. Another one is fast only if it gives XNNPACK the flag "
    "DYNAMIC_FULLY_CONNECTED (docs/export.md); a portable graph is for those that cannot."
)


class ImageFileError(ModelPatchError):
    """A file given to compare on is no image."""


class Comparison(NamedTuple):
    """What to compare with JAX on.

    Attributes:
      files: paths of images; as many of seeded noise as the largest batch come after them.
      tolerance: the largest difference of a logit allowed, as a part of the largest logit.
    """

    files: Sequence[str]
    tolerance: float


def backbone_graph(
    backbone: Loaded, settings: Settings, comparison: Comparison, out: pathlib.Path
) -> str:
    """Writes the LiteRT graph of a backbone, for `adapters.runtime.device`; returns what to print.

    Raises ExportParityError, and writes nothing, where it does not answer as JAX does.
    """
    graph = export_backbone(
        backbone.name,
        backbone.network,
        backbone.weights,
        backbone.fingerprint,
        backbone.checkpoint.epsilon,
        (backbone.checkpoint.mean, backbone.checkpoint.std),
        settings,
    )
    sizes = {room.size for room in graph.rooms}
    images = {size: pictures(backbone, comparison, size, settings.batches) for size in sizes}
    meant = backbone.weights if settings.kernels == FLOAT32 else graph.weights
    found = export_parity.graph_differences(graph, backbone.network, meant, images)
    export_parity.check(found, comparison.tolerance)
    about = f"{backbone.name}, heads of up to {graph.classes} outputs"
    for room in graph.others:
        about += f", {room.head.computes} of up to {room.outputs} at {room.size} pixels"
    write_graph(out, graph)
    said = report(out, about, found, comparison, max(graph.batches))
    if not settings.portable:
        said += f"\n{_NEEDS_A_FLAG}"
    if settings.kernels == FLOAT32:
        return said
    moved = export_parity.moved(graph, backbone.network, backbone.weights, images)
    return (
        f"{said}\nJAX had the kernels of {settings.kernels} too: rounding them moved a logit by up "
        f"to {moved:.1e} of its image's largest. Evaluate a patch on the graph to know more."
    )


def task_graph(
    backbone: Loaded, patch: str, batches: Sequence[int], comparison: Comparison, out: pathlib.Path
) -> str:
    """Writes the LiteRT graph of one patch file's task, folded; returns what to print.

    Raises ExportParityError, and writes nothing, where it does not answer as JAX does, or a
    PatchFileError where the patch fails a check.
    """
    contents, preprocessing = checked_patch(backbone, patch, first_look)
    prepare = first_look(contents)
    graph = export_task(
        backbone.network,
        backbone.weights,
        backbone.checkpoint.epsilon,
        contents.edits,
        contents.head,
        preprocessing.size,
        batches,
        prepare,
        contents.inputs,
        head_of(contents),
    )
    images = prepared(comparison, preprocessing, batches)
    patched = apply_edits(backbone.weights, contents.edits)
    found = export_parity.task_differences(
        *(graph, backbone.network, patched, contents.head, batches, images, prepare),
        others=seeded_inputs(contents, len(images)),
        kind=head_of(contents),
    )
    export_parity.check(found, comparison.tolerance)
    files.write_bytes(out, graph)
    about = f"{contents.task} on {backbone.name}, {outputs(contents)}"
    return report(out, about, found, comparison, max(batches))


def mediapipe_graph(backbone: Loaded, patch: str, comparison: Comparison, out: pathlib.Path) -> str:
    """Writes one task's graph as MediaPipe's image classifier takes it; returns what to print.

    One image in, probabilities out, and in the file labels and normalisation. Raises
    OtherHeadError for another head than a classifier's, and what `task_graph` raises.
    """
    from adapters.export import metadata  # needs LiteRT

    contents, preprocessing = checked_patch(backbone, patch, first_look)
    check_classifier(contents, "MediaPipe's image classifier")
    if contents.inputs:
        raise UnsupportedPatchError(
            f"{contents.task} reads {', '.join(contents.inputs)} beside the image, which "
            "MediaPipe's image classifier does not give."
        )
    prepare = first_look(contents)
    graph = export_task(
        backbone.network,
        backbone.weights,
        backbone.checkpoint.epsilon,
        contents.edits,
        contents.head,
        preprocessing.size,
        (1,),
        prepare,
        output=signatures.PROBABILITIES,
    )
    graph = metadata.described(
        graph, contents.task, contents.task_version, contents.labels, preprocessing
    )
    found = export_parity.task_differences(
        graph,
        backbone.network,
        apply_edits(backbone.weights, contents.edits),
        contents.head,
        (1,),
        prepared(comparison, preprocessing, (1,)),
        prepare,
        output=signatures.PROBABILITIES,
    )
    export_parity.check(found, comparison.tolerance)
    files.write_bytes(out, graph)
    about = f"{contents.task} on {backbone.name}, {outputs(contents)}, for MediaPipe"
    said = report(out, about, found, comparison, 1)
    if preprocessing.fit == "stretch":
        return said
    return (
        f"{said}\nMediaPipe stretches images; this task was trained with the fit "
        f"{preprocessing.fit}: give it squares that were made so."
    )


def jax_graph(
    backbone: Loaded,
    size: int,
    batch: int,
    comparison: Comparison,
    out: pathlib.Path,
    room: Room | None = None,
) -> str:
    """Writes a serialised JAX program, patches being arguments; returns what to print.

    `room` is as for `jax_program`. Raises ExportParityError, and writes nothing, where it does not
    answer as the network does.
    """
    data = jax_program(backbone.network, backbone.shapes, size, batch, room)
    images = pictures(backbone, comparison, size, (batch,))
    own = room or Room(
        "classification", {}, {linear.FEATURES: backbone.network.table.features}, 10, size
    )
    head = export_parity.random_head(own.head, own.channels, own.outputs)
    program = jax.export.deserialize(bytearray(data))
    wanted = export_parity.jax_predictions(
        backbone.network, backbone.weights, own.head, head, images
    )

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        found = program.call(backbone.weights, head, inputs["images"])
        return {name: np.asarray(values) for name, values in found.items()}

    found = {"call": export_parity.worst(wanted, {"images": images}, batch, run)}
    export_parity.check(found, comparison.tolerance)
    files.write_bytes(out, data)
    about = f"{backbone.name}, {batch} images of {size} pixels a call"
    return report(out, about, found, comparison, batch)


def rooms_for(backbone: Loaded, patches: Sequence[str]) -> tuple[Room, ...]:
    """Rooms for the heads of patch files, each of which must pass every check: one for all alike.

    Raises PatchFileError, and SettingError for a head that needs no room of its own.
    """
    widest: dict[tuple[str, int], Room] = {}
    for patch in patches:
        contents, preprocessing = checked_patch(backbone, patch)
        room = room_of(contents, preprocessing.size)
        if room.head.computes == linear.COMPUTES:
            raise SettingError(
                "heads_of",
                f"has {patch}, whose head reads the pooled features: every graph has room for such "
                "heads, of the sizes that are given. Leave it out.",
                "sizes",
            )
        key = (room.head.computes, room.size)
        widest[key] = max(room, widest.get(key, room), key=lambda one: one.outputs)
    return tuple(widest.values())


def outputs(contents: PatchContents) -> str:
    """How many a patch's head has: `3 classes` of a classifier, `3 outputs` of any other."""
    named = "classes" if contents.head_kind == "classification" else "outputs"
    return f"{len(contents.labels)} {named}"


def checked_patch(
    backbone: Loaded, patch: str, look: Callable[[PatchContents], Prepare] = without_look
) -> tuple[PatchContents, Preprocessing]:
    """A patch file that has passed every check, parity among them, and how its images are made.

    `look` is of `adapters.inference.first_look`. Raises PatchFileError where a check fails.
    """
    checkpoint = backbone.checkpoint
    contents = read_patch(
        patch,
        shapes=backbone.shapes,
        features=backbone.network.table.features,
        fingerprint=backbone.fingerprint,
        check_parity=self_test(
            backbone.network, backbone.weights, checkpoint.mean, checkpoint.std, look
        ),
    )
    return contents, Preprocessing.from_json(contents.preprocessing)


def seeded_inputs(contents: PatchContents, count: int) -> dict[str, Array]:
    """Made-up inputs [count, *shape] of each that the patch reads beside the image."""
    return {
        name: np.stack([parity.seeded_input(seed, name, shape) for seed in range(count)])
        for name, shape in contents.inputs.items()
    }


def pictures(backbone: Loaded, comparison: Comparison, size: int, batches: Sequence[int]) -> Array:
    """The images to compare a backbone on: as `prepared` gives them, scaled as it was trained."""
    checkpoint = backbone.checkpoint
    preprocessing = Preprocessing(size, checkpoint.mean, checkpoint.std)
    return prepared(comparison, preprocessing, batches)


def prepared(comparison: Comparison, preprocessing: Preprocessing, batches: Sequence[int]) -> Array:
    """The files' images, then seeded ones: [files + max(batches), size, size, 3]."""
    shape = (preprocessing.size, preprocessing.size, 3)
    images = [_read(path, preprocessing) for path in comparison.files]
    noise = [parity.seeded_image(seed, shape) for seed in range(max(batches))]
    return np.stack([*images, *noise])


def _read(path: str, preprocessing: Preprocessing) -> Array:
    try:
        image = decode(files.read_regular(path), preprocessing.background)
    except UnreadableImageError as error:
        raise ImageFileError(f"{path}: {error}") from error
    return normalise(prepare(image, preprocessing), preprocessing)


def report(
    out: pathlib.Path, about: str, found: Mapping[str, float], comparison: Comparison, noise: int
) -> str:
    """What to print of a file that was written: `found` by signature, of so much noise."""
    lines = [
        f"{out}: {about}, {out.stat().st_size:,} bytes",
        f"largest difference to JAX on {len(comparison.files)} image files and {noise} images of "
        f"seeded noise, of the largest logit ({comparison.tolerance:g} is allowed):",
        *(f"  {name:<20} {far:.1e}" for name, far in found.items()),
    ]
    return "\n".join(lines)
