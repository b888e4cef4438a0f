"""Whether ONNX graphs can be made and run here."""

import importlib

from adapters.errors import ModelPatchError


class ONNXError(ModelPatchError):
    """onnx or ONNX Runtime is not installed, or cannot do what it was asked."""


def check_installed() -> None:
    """Raises ONNXError where onnx, or ONNX Runtime to run its graphs, is not installed."""
    try:
        for module in ("onnx", "onnxruntime"):
            importlib.import_module(module)
    except ImportError as error:
        raise ONNXError(
            "exporting to ONNX needs onnx and onnxruntime, and this installation lacks one of "
            f"them: {error}. The commands install both. In an environment of your own: pip "
            "install onnx onnxruntime."
        ) from error
