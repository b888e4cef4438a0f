"""Exports a backbone once, so that devices run every patch on it without JAX.

    launch/export --backbone=mobilenet_v2 --sizes=64 --out=device/backbone.tflite
    launch/export --patch=out/digits.patch --out=device/digits.tflite
    launch/export --patch=out/digits.patch --to=mediapipe --out=device/digits_task.tflite
    launch/export --backbone=mobilenet_v2 --to=onnx --sizes=64 --out=device/backbone.onnx
    launch/export --patch=out/digits.patch --to=inputs --out=device/digits.safetensors
    launch/export --backbone=mobilenet_v2 --kernels=int8 --sizes=64 --out=device/small.tflite
    launch/export --backbone=mobilenet_v2 --to=jax --sizes=64 --out=device/backbone.jax
    launch/export --backbone=mobilenet_v2 --heads_of=out/nuclei.patch --out=device/backbone.tflite

The first takes patches as inputs; `adapters.runtime.device` installs them. The second is one task's
own graph, with any patch folded in; the third is that as MediaPipe's image classifier takes it,
with labels and normalisation in the file (docs/phone.md). `--to=onnx` makes either for ONNX
Runtime, and `--to=inputs` writes what the first kind of graph is fed for one patch.
`--kernels=int8` makes the first with rounded kernels, of few bytes. `--to=jax` makes a program for
`jax.export.deserialize`. The last has room for heads that find objects or tell pixels, too, as
those of the patches named. Each graph is compared with JAX first, on the image files given as
arguments and on seeded noise, and is not written where a logit differs too much. docs/export.md
goes on from here.
"""

from collections.abc import Sequence
from typing import Any

from absl import app, flags

from adapters.experiment import exports
from adapters.export.export_parity import TOLERANCE
from adapters.export.litert import FLOAT32, INT8
from launch import command

_BACKBONE = flags.DEFINE_string("backbone", None, "Backbone to export; --patch names its own.")
_WEIGHTS = flags.DEFINE_string("weights", None, "Its local checkpoint, if it brings none.")
_PATCH = flags.DEFINE_string("patch", None, "Patch file to make one task's own graph of.")
_TO = flags.DEFINE_enum(
    "to", "litert", sorted({*exports.BACKBONE_FORMATS, *exports.TASK_FORMATS}), "What to export to."
)
_SIZES = flags.DEFINE_list(
    "sizes", list(map(str, exports.SIZES)), "Sides of images, in pixels, that patches look at."
)
_BATCHES = flags.DEFINE_list(
    "batches", list(map(str, exports.BATCHES)), "Numbers of images in one call."
)
_CLASSES = flags.DEFINE_integer(
    "classes", exports.CLASSES, "Most classes a patch may have.", lower_bound=1
)
_HEADS_OF = flags.DEFINE_list(
    "heads_of", [], "Patch files whose heads, of objects or pixels, a backbone's graph is for too."
)
_DEPTHWISE = flags.DEFINE_bool("depthwise", False, "Make depthwise kernels inputs too.")
_KERNELS = flags.DEFINE_enum(
    "kernels", FLOAT32, (FLOAT32, INT8), "How a LiteRT graph for patches stores its kernels."
)
_PORTABLE = flags.DEFINE_bool(
    "portable", False, "Make a LiteRT graph for runtimes without XNNPACK's DYNAMIC_FULLY_CONNECTED."
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance", TOLERANCE, "Largest difference to JAX, as a part of the largest logit."
)
_OUT = flags.DEFINE_string("out", None, "The file to write.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace a file that is there.")


def main(arguments: Sequence[str]) -> None:
    """Exports, compares, writes, and says how far from JAX it is."""
    name, patch, out = _BACKBONE.value, _PATCH.value, _OUT.value
    if out is not None and patch is not None and name is None:
        print(_task(patch, out, arguments[1:]))
    elif out is not None and patch is None and name is not None:
        print(_backbone(name, out, arguments[1:]))
    else:
        raise app.UsageError("name a backbone or a patch, and where to write: --out")


def _task(patch: str, out: str, images: Sequence[str]) -> str:
    if _TO.value == "jax":
        raise app.UsageError("--patch makes one task's graph; a JAX program takes any patch")
    unused = (_SIZES, _CLASSES, _KERNELS, _PORTABLE, _HEADS_OF)
    _refuse(unused, "--patch makes what is of the file's size and head, and runs anywhere")
    if _TO.value == "inputs":
        _refuse((_BATCHES, _TOLERANCE), "--to=inputs makes no graph")
    else:
        _refuse((_DEPTHWISE,), "--patch makes a graph that takes images alone")
    if _TO.value == "onnx":
        _refuse((_BATCHES,), "--to=onnx makes a graph for any number of images")
    if _TO.value == "mediapipe":
        _refuse((_BATCHES,), "--to=mediapipe makes a graph for one image")
    return exports.export_task(
        patch,
        out,
        to=_TO.value,
        weights=_WEIGHTS.value,
        batches=_numbers("batches", _BATCHES.value),
        depthwise=_DEPTHWISE.value,
        images=images,
        tolerance=_TOLERANCE.value,
        overwrite=_OVERWRITE.value,
    )


def _backbone(name: str, out: str, images: Sequence[str]) -> str:
    sizes, batches = _numbers("sizes", _SIZES.value), _numbers("batches", _BATCHES.value)
    if _TO.value not in exports.BACKBONE_FORMATS:
        raise app.UsageError(
            f"--to={_TO.value} is of a patch, which names its backbone: --patch=FILE"
        )
    if _TO.value != "litert" and _HEADS_OF.value:
        _refuse((_SIZES,), "--heads_of tells the size of such a graph")
    if _TO.value == "jax":
        if len(sizes) != 1 or (_BATCHES.present and len(batches) != 1):
            raise app.UsageError(
                "--to=jax makes a program for one size and one batch: --sizes=64 --batches=8, say"
            )
        unused = (_CLASSES, _DEPTHWISE, _KERNELS, _PORTABLE)
        _refuse(unused, "--to=jax makes a program that takes any head and weights")
    if _TO.value == "onnx":
        if len(sizes) != 1:
            raise app.UsageError("--to=onnx makes a graph for one size: --sizes=64, say")
        _refuse((_CLASSES, _BATCHES), "--to=onnx makes a graph for any head and number of images")
        _refuse((_KERNELS,), "--to=onnx keeps kernels as float32")
        _refuse((_PORTABLE,), "--portable is of graphs for LiteRT")
    return exports.export_backbone(
        name,
        out,
        to=_TO.value,
        weights=_WEIGHTS.value,
        sizes=sizes,
        batches=batches,
        classes=_CLASSES.value,
        depthwise=_DEPTHWISE.value,
        kernels=_KERNELS.value,
        portable=_PORTABLE.value,
        heads_of=_HEADS_OF.value,
        images=images,
        tolerance=_TOLERANCE.value,
        overwrite=_OVERWRITE.value,
    )


def _refuse(unused: Sequence[flags.FlagHolder[Any]], because: str) -> None:
    """Raises UsageError where a flag was given that would change nothing."""
    given = [f"--{flag.name}" for flag in unused if flag.present]
    if given:
        raise app.UsageError(f"{because}: leave out {', '.join(given)}")


def _numbers(name: str, texts: Sequence[str]) -> tuple[int, ...]:
    if not texts or not all(text.isdecimal() and int(text) > 0 for text in texts):
        raise app.UsageError(f"--{name} is {','.join(texts)!r}; give whole numbers: --{name}=1,8")
    return tuple(sorted({int(text) for text in texts}))


if __name__ == "__main__":
    command.run(main)
