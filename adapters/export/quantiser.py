"""LiteRT graphs whose kernels are stored as 8-bit integers, by `litert-quantizer`."""

import contextlib
import importlib
import io

from adapters.export.converter import ConverterError


def check_installed() -> None:
    """Raises ConverterError where `litert-quantizer` is not installed."""
    try:
        importlib.import_module("litert_quantizer.quantizer")
    except ImportError as error:
        raise ConverterError(
            f"kernels of int8 need litert-quantizer, which this installation lacks: {error}. "
            "The commands install it where it is made for. In an environment of your own: pip "
            "install --no-deps 'litert-quantizer>=0.11,<0.12'."
        ) from error


def int8_kernels(flatbuffer: bytes) -> bytes:
    """The `.tflite` with the kernels of all its layers as `adapters.runtime.int8` describes them.

    They are turned back into float32 before a layer computes with them: LiteRT does that once, when
    it opens the graph. Raises ConverterError.
    """
    check_installed()
    from litert_quantizer import qtyping, quantizer

    work = quantizer.Quantizer(flatbuffer)
    work.add_weight_only_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=8)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # one of its progress bars stays on
            result = work.quantize(enable_progress_bar=False, enable_progress_report=False)
    except (RuntimeError, ValueError) as error:
        raise ConverterError(f"litert-quantizer refuses the graph: {error}.") from error
    return bytes(result.quantized_model)
