"""What the files are called that `make` writes and `engines` opens."""

LITERT, LITERT_INT8, LITERT_FUSED = "backbone.tflite", "backbone int8.tflite", "fused.tflite"
ONNX, ONNX_FUSED, JAX = "backbone.onnx", "fused.onnx", "backbone.jax"


def patch(number: int) -> str:
    """The patch file of a task."""
    return f"task_{number}.patch"


def inputs(number: int) -> str:
    """The same as plain inputs."""
    return f"task_{number}.safetensors"


def encoded(encoding: str) -> str:
    """The first task's patch file with its numbers stored so."""
    return f"{encoding}/{patch(0)}"
