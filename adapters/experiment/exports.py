"""A backbone, or one patch's task, exported to a file that devices run: one call each."""

import numbers
import os
import pathlib
from collections.abc import Iterable, Sequence

from adapters.errors import UnknownNameError
from adapters.experiment import backbones, exporting, exporting_onnx, output
from adapters.experiment.settings import SettingError
from adapters.export import converter, quantiser
from adapters.export.export_parity import TOLERANCE
from adapters.export.litert import FLOAT32, INT8, Settings
from adapters.export.onnx.installed import check_installed
from adapters.runtime import signatures
from adapters.store.read import read_patch

SIZES, BATCHES, CLASSES = (64,), (1, 8), 128
ENDINGS = {
    "litert": ".tflite",
    "mediapipe": ".tflite",
    "onnx": ".onnx",
    "jax": ".jax",
    "inputs": ".safetensors",
}
BACKBONE_FORMATS = ("litert", "onnx", "jax")
TASK_FORMATS = ("litert", "mediapipe", "onnx", "inputs")


def export_backbone(
    backbone: str,
    out: str | os.PathLike[str],
    *,
    to: str = "litert",
    weights: str | os.PathLike[str] | None = None,
    sizes: int | Sequence[int] = SIZES,
    batches: int | Sequence[int] = BATCHES,
    classes: int = CLASSES,
    depthwise: bool = False,
    kernels: str = FLOAT32,
    portable: bool = False,
    heads_of: Sequence[str] = (),
    images: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    overwrite: bool = False,
) -> str:
    """Writes a graph of a backbone that takes patches as inputs; returns what to print of it.

    Args:
      backbone: its name.
      out: the new file, whose name may not end as another format's does (`ENDINGS`).
      to: `litert` for `adapters.Device`, `onnx`, or `jax` for `jax.export.deserialize`.
      weights: its local checkpoint, where it brings none.
      sizes: sides of images, in pixels; one for `onnx` and `jax`.
      batches: numbers of images in one call; the largest is that of `jax`, any number is `onnx`'s.
      classes: most that a patch may have, in LiteRT.
      depthwise: whether depthwise kernels are inputs too.
      kernels: how LiteRT's graph stores them, `float32` or `int8`.
      portable: whether LiteRT's graph is for runtimes without XNNPACK's DYNAMIC_FULLY_CONNECTED.
      heads_of: patch files whose heads, which read maps, and sizes the graph is for, beside heads
        that read the pooled features: for `onnx` and `jax` one, and for heads like that one alone.
      images: paths of image files to compare with JAX on, beside seeded noise.
      tolerance: the largest difference of a logit allowed, as a part of the largest.
      overwrite: whether a file at `out` is replaced, once the new one answers as it should.

    Raises:
      ExportParityError: it does not answer as JAX does; nothing is written.
      OutputFileError: `out` exists, and is not to be overwritten or is no file.
      SettingError, UnknownNameError: a value that cannot work.
    """
    _check_format(to, BACKBONE_FORMATS, out)
    sizes, batches = _numbers("sizes", sizes), _numbers("batches", batches)
    path, comparison = output.new_file(out, overwrite), exporting.Comparison(images, tolerance)
    if to == "litert":
        kinds = tuple(
            kind for kind in signatures.KINDS if depthwise or kind != signatures.DEPTHWISE
        )
        converter.check_installed()
        if kernels == INT8:
            quantiser.check_installed()
        loaded = backbones.load(backbone, weights)
        rooms = exporting.rooms_for(loaded, heads_of)
        settings = Settings(classes, sizes, batches, kinds, kernels, portable, rooms)
        return exporting.backbone_graph(loaded, settings, comparison, path)
    if len(heads_of) > 1:
        raise SettingError("heads_of", f"must be one patch for {to}, not {list(heads_of)}.")
    if to == "onnx":
        check_installed()
    loaded = backbones.load(backbone, weights)
    rooms = exporting.rooms_for(loaded, heads_of)
    sizes = tuple(room.size for room in rooms) or sizes
    if len(sizes) != 1:
        raise SettingError("sizes", f"must be one size for {to}, not {list(sizes)}.")
    room = rooms[0] if rooms else None
    if to == "jax":
        return exporting.jax_graph(loaded, sizes[0], max(batches), comparison, path, room)
    return exporting_onnx.backbone_graph(loaded, _kind(depthwise), sizes[0], comparison, path, room)


def export_task(
    patch: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str = "litert",
    weights: str | os.PathLike[str] | None = None,
    batches: int | Sequence[int] = BATCHES,
    depthwise: bool = False,
    images: Sequence[str] = (),
    tolerance: float = TOLERANCE,
    overwrite: bool = False,
) -> str:
    """Writes a graph of one patch file's task, the patch folded in; returns what to print of it.

    Args:
      patch: path of the file, which is read through every check.
      out: the new file.
      to: `litert`; `mediapipe`, a LiteRT graph of one image with labels and normalisation in it;
        `onnx`; or `inputs`, what a backbone's graph is fed for this patch.
      weights: the backbone's local checkpoint, where it brings none.
      batches: numbers of images in one call of LiteRT's graph; `onnx` takes any number.
      depthwise: of `inputs`, whether the graph takes depthwise kernels.
      images, tolerance, overwrite: as for `export_backbone`.

    Raises what `export_backbone` does, and PatchFileError where the patch fails a check.
    """
    _check_format(to, TASK_FORMATS, out)
    batches = _numbers("batches", batches)
    path, comparison = output.new_file(out, overwrite), exporting.Comparison(images, tolerance)
    name = os.fspath(patch)
    if to == "onnx":
        check_installed()
    elif to != "inputs":
        converter.check_installed()
    loaded = backbones.load(read_patch(name).backbone, weights)
    if to == "inputs":
        return exporting_onnx.graph_inputs(loaded, name, _kind(depthwise), path)
    if to == "onnx":
        return exporting_onnx.task_graph(loaded, name, comparison, path)
    if to == "mediapipe":
        return exporting.mediapipe_graph(loaded, name, comparison, path)
    return exporting.task_graph(loaded, name, batches, comparison, path)


def _kind(depthwise: bool) -> str:
    """Of inputs, where a graph has those of one kind alone."""
    return signatures.DEPTHWISE if depthwise else signatures.NORMS


def _numbers(name: str, given: int | Sequence[int]) -> tuple[int, ...]:
    """One number or several; raises SettingError where they are none, or not above zero."""
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    if not found or not all(isinstance(one, numbers.Integral) and one > 0 for one in found):
        raise SettingError(name, f"is {given!r}: give whole numbers above zero.")
    return found


def _check_format(to: str, known: Sequence[str], out: str | os.PathLike[str]) -> None:
    if to not in known:
        raise UnknownNameError("format", to, known)
    ending = pathlib.Path(out).suffix.lower()
    for other, own in ENDINGS.items():
        if ending == own and ENDINGS[to] != own:
            raise SettingError(
                "to",
                f"is {to!r}, and the name {os.fspath(out)} ends as of {other!r}: choose the format "
                f"{other!r}, or a name that ends in {ENDINGS[to]}.",
                "out",
            )
