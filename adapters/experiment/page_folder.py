"""A web page as a folder of static files: its modules, ONNX Runtime Web, a backbone, patches.

`manifest.json` says what lies there, so that the page can tell a file that is not the one:

| field | holds |
|---|---|
| `backbone` | `name`, `fingerprint` of its weights, `size` of images, kind of `head`, and a file |
| `patches` | for each a `task`, its `scores` by split, the `metric` that they are of, and a file |
| `runtime` | the `bytes` of ONNX Runtime Web |

where a file is `file`, its address from the folder on, `bytes` and `sha256`. A backbone with room
for heads that read maps has `outputs` too: the most labels that one may have.
"""

import hashlib
import json
import os
import pathlib
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from adapters import files
from adapters.errors import ModelPatchError
from adapters.experiment import backbones, exporting, exporting_onnx, output
from adapters.experiment.backbones import Loaded
from adapters.export.export_parity import TOLERANCE
from adapters.export.litert import own_weights
from adapters.export.onnx import differences
from adapters.heads import linear
from adapters.heads.registry import OtherHeadError, head_of
from adapters.preprocessing import Preprocessing
from adapters.runtime import signatures
from adapters.runtime.feeds import Array, UnsupportedPatchError, patch_inputs
from adapters.runtime.input_file import write_inputs
from adapters.runtime.room_choice import room_of
from adapters.runtime.rooms import Room
from adapters.store.contents import PatchCard, PatchContents
from adapters.store.read import read_patch
from adapters.store.trust import Trusted

SOURCE = pathlib.Path(__file__).parents[2] / "javascript" / "browser"
RUNTIME = "onnxruntime-web"
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
GRAPH, MANIFEST = "backbone.onnx", "manifest.json"
SHOWN = ("classification", "fpnlite", "segmentation", "ssdlite")
"""Kinds of heads whose answers the page shows."""

_TRUSTED = '<meta name="trusted" content="{}" />'
NOISE = exporting.Comparison((), TOLERANCE)


class PageError(ModelPatchError):
    """Patches that one page cannot show together, or a page that cannot be made here."""


class RuntimeNeededError(PageError):
    """ONNX Runtime Web, which the page brings along, is not installed here."""


def place(path: str | os.PathLike[str], overwrite: bool) -> pathlib.Path:
    """Where a page may be written: nothing is there, or a page and `overwrite`.

    Raises OutputFileError.
    """
    found = pathlib.Path(path)
    is_page = all((found / name).is_file() for name in (GRAPH, MANIFEST, "index.html"))
    if not is_page:
        return output.new_file(found)
    if not overwrite:
        raise output.OutputFileError(
            f"{found} holds a page already: overwrite it, or choose another folder.",
            settings=["overwrite", "directory"],
        )
    return found


def write_page(
    paths: Sequence[str], weights: str | None, out: pathlib.Path, trusted: Trusted | None = None
) -> str:
    """Writes a page for patch files, whole or not at all; returns what to print.

    Args:
      paths: of patch files for one backbone and one size of images, whose heads compute the same.
      weights: a local checkpoint of the backbone, if it brings none.
      out: the folder, as `place` gives it; a page there is replaced when the new one is whole.
      trusted: keys one of which must sign the folder, or the page starts nothing; None asks nobody.

    Raises PageError, OtherHeadError, a PatchFileError where a patch fails a check,
    ExportParityError where the graph does not answer as JAX does, and what `backbones.load` raises.
    """
    parts, replaces = _parts(), out.is_dir()
    cards = [read_patch(path) for path in paths]
    for card in cards:
        _check_shown(card)
    size = _common_size(paths, cards)
    backbone = backbones.load(cards[0].backbone, weights)
    patches = [exporting.checked_patch(backbone, path)[0] for path in paths]
    kind, inputs = _inputs(backbone, paths, patches)
    room = _room(patches, size)
    graph, found = exporting_onnx.compared_graph(backbone, kind, size, NOISE, room)
    with files.new_directory(out, replaces) as folder:
        for name, source in parts.items():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / name)
        _write_trusted(folder / "index.html", trusted or {})
        (folder / GRAPH).write_bytes(graph)
        for contents, given in zip(patches, inputs, strict=True):
            outputs = None if room is None else room.outputs
            write_inputs(folder / _inputs_name(contents), contents, given, outputs)
        manifest = _manifest(folder, backbone, size, patches, room)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    about = f"{backbone.name} at {size} pixels"
    lines = [exporting.report(out / GRAPH, about, found, NOISE, max(differences.BATCHES))]
    for contents in patches:
        path = out / _inputs_name(contents)
        lines.append(f"{path}: {len(contents.labels)} labels, {path.stat().st_size:,} bytes")
    return "\n".join(lines)


def _write_trusted(page: pathlib.Path, trusted: Trusted) -> None:
    text = page.read_text("utf-8")
    keys = " ".join(key.hex() for key in sorted(trusted))
    page.write_text(text.replace(_TRUSTED.format(""), _TRUSTED.format(keys)), "utf-8")


def _parts() -> dict[str, pathlib.Path]:
    """The page's own files and those of ONNX Runtime Web, by their names in the folder."""
    if not SOURCE.is_dir():
        raise PageError(
            "the page's files lie in javascript/browser of the repository, which this installation "
            "lacks: make the page in a checkout."
        )
    runtime = SOURCE / "node_modules" / RUNTIME / "dist"
    missing = [name for name in RUNTIME_FILES if not (runtime / name).is_file()]
    if missing:
        raise RuntimeNeededError(
            f"ONNX Runtime Web is not here ({runtime / missing[0]}): install the packages of "
            f"{SOURCE.relative_to(SOURCE.parents[1])}."
        )
    own = [*SOURCE.glob("*.html"), *SOURCE.glob("*.mjs")]
    return {
        **{path.name: path for path in own},
        **{f"{RUNTIME}/{name}": runtime / name for name in RUNTIME_FILES},
    }


def _check_shown(card: PatchCard) -> None:
    if card.head_kind not in SHOWN:
        raise OtherHeadError(
            f"the patch for {card.task} predicts {card.head_kind}; a page shows "
            f"{', '.join(SHOWN)}: leave it out."
        )


def _room(patches: Sequence[PatchContents], size: int) -> Room | None:
    """For the widest of heads that compute the same; None where they read the pooled features."""
    if head_of(patches[0]).computes == linear.COMPUTES:
        return None
    return max((room_of(contents, size) for contents in patches), key=lambda room: room.outputs)


def _common_size(paths: Sequence[str], cards: Sequence[PatchCard]) -> int:
    """The size of all patches' images; raises PageError where one page cannot hold them."""
    asked = [_wanted(card) for card in cards]
    tasks: dict[str, str] = {}
    for path, card, one in zip(paths, cards, asked, strict=True):
        if one != asked[0]:
            raise PageError(
                f"{path} is for {one}, {paths[0]} for {asked[0]}: make a page for each."
            )
        if card.task in tasks:
            raise PageError(f"{tasks[card.task]} and {path} are both for {card.task}: give one.")
        tasks[card.task] = path
    return Preprocessing.from_json(cards[0].preprocessing).size


def _wanted(card: PatchCard) -> str:
    """What a page must have for a patch, in words."""
    size = Preprocessing.from_json(card.preprocessing).size
    computes = head_of(card).computes
    reads = "" if computes == linear.COMPUTES else f" with the head {computes}"
    return f"{card.backbone} at {size} pixels{reads}"


def _inputs(
    backbone: Loaded, paths: Sequence[str], patches: Sequence[PatchContents]
) -> tuple[str, list[Mapping[str, Array]]]:
    """The fewest kinds of inputs that express every patch, and each patch as those."""
    try:
        return signatures.NORMS, _inputs_of(signatures.NORMS, backbone, paths, patches)
    except PageError:
        return signatures.DEPTHWISE, _inputs_of(signatures.DEPTHWISE, backbone, paths, patches)


def _inputs_of(
    kind: str, backbone: Loaded, paths: Sequence[str], patches: Sequence[PatchContents]
) -> list[Mapping[str, Array]]:
    weights = own_weights(backbone.network, backbone.weights)
    found: list[Mapping[str, Array]] = []
    for path, contents in zip(paths, patches, strict=True):
        try:
            epsilon = backbone.checkpoint.epsilon
            found.append(patch_inputs(weights, epsilon, contents.edits, kind))
        except UnsupportedPatchError as error:
            raise PageError(
                f"{path} changes more than norms, depthwise kernels and the classifier, which is "
                f"all that the page's network takes from patches: leave it out ({error})"
            ) from error
    return found


def _inputs_name(contents: PatchContents) -> str:
    return f"patches/{contents.task}.safetensors"


def _manifest(
    folder: pathlib.Path,
    backbone: Loaded,
    size: int,
    patches: Sequence[PatchContents],
    room: Room | None,
) -> dict[str, Any]:
    known: dict[str, Any] = {
        "name": backbone.name,
        "fingerprint": backbone.fingerprint,
        "size": size,
        "head": patches[0].head_kind,
    }
    if room is not None:
        known["outputs"] = room.outputs
    return {
        "backbone": {**known, **_described(folder, GRAPH)},
        "patches": [
            {
                "task": contents.task,
                "metric": contents.metric,
                "scores": dict(contents.scores),
                **_described(folder, _inputs_name(contents)),
            }
            for contents in patches
        ],
        "runtime": {
            "bytes": sum((folder / RUNTIME / name).stat().st_size for name in RUNTIME_FILES)
        },
    }


def _described(folder: pathlib.Path, name: str) -> dict[str, Any]:
    content = (folder / name).read_bytes()
    return {
        "file": urllib.parse.quote(name),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
