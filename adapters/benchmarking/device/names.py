"""What the files are called that `make` and `kinds` write and `engines` opens."""

import pathlib

LITERT, LITERT_INT8, LITERT_FUSED = "backbone.tflite", "backbone int8.tflite", "fused.tflite"
ONNX, ONNX_FUSED, JAX = "backbone.onnx", "fused.onnx", "backbone.jax"


KINDS = ("classifier", "detector", "segmenter")
TASKS = (*KINDS, *["classifier"] * 4)
"""The kind of each of the tasks of several kinds: the first three have one each."""


def patch(number: int) -> str:
    """The patch file of a task."""
    return f"task_{number}.patch"


def inputs(number: int) -> str:
    """The same as plain inputs."""
    return f"task_{number}.safetensors"


def encoded(encoding: str) -> str:
    """The first task's patch file with its numbers stored so."""
    return f"{encoding}/{patch(0)}"


def kinds(folder: pathlib.Path) -> pathlib.Path:
    """The folder in it of what is for tasks of several kinds."""
    return folder / "kinds"


def own(kind: str) -> str:
    """The graph of one task of that kind."""
    return f"{kind}.tflite"
