"""A LiteRT graph that many threads may call."""

import contextlib
import functools
import math
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError
from adapters.runtime.notices import without_notices

Array = npt.NDArray[np.float32]

# Of LiteRT's xnnpack_delegate.h: QS8 and QU8, integers of 8 bits; DYNAMIC_FULLY_CONNECTED, layers
# whose kernels a graph computes (`adapters.export.kernel_scales`), which are left out by default.
_XNNPACK_FLAGS = 0x1 | 0x2 | 0x8


class LiteRTError(ModelPatchError):
    """LiteRT is not installed, or cannot run a graph."""


class _Call(NamedTuple):
    """The memory through which a signature is called.

    Attributes:
      inputs: {name: LiteRT's buffer}.
      shapes: {name: shape} of the inputs.
      sent: {name: the read-only array that lies in the buffer}.
      outputs: {name: LiteRT's buffer}.
      results: {name: shape} of the outputs.
    """

    inputs: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    sent: dict[str, Array]
    outputs: dict[str, Any]
    results: dict[str, tuple[int, ...]]


class Engine:
    """One graph, whose calls take turns: it serves one thread at a time."""

    def __init__(self, flatbuffer: bytes, threads: int):
        """Opens a `.tflite`, to be run on so many threads. Raises LiteRTError."""
        try:
            from ai_edge_litert.compiled_model import (
                CompiledModel,
                CpuOptions,
                HardwareAccelerator,
                Options,
            )
        except ImportError as error:
            raise LiteRTError(
                "running a graph needs LiteRT, which this installation lacks: pip install "
                "'.[device]'. It is made for Linux, Windows and macOS on Apple silicon."
            ) from error
        options = Options(
            hardware_accelerators=HardwareAccelerator.CPU,
            cpu_options=CpuOptions(num_threads=threads, xnnpack_flags=_XNNPACK_FLAGS),
        )
        self._flatbuffer = flatbuffer  # LiteRT may read constants where they are
        try:
            with without_notices():
                self._model = CompiledModel.from_buffer(
                    flatbuffer, environment=_environment(), options=options
                )
        except (RuntimeError, ValueError) as error:
            raise LiteRTError(f"LiteRT refuses the graph: {error}.") from error
        self._calls: dict[str, _Call] = {}
        self._lock = threading.Lock()

    def run(self, signature: str, inputs: Mapping[str, Array], output: str) -> Array:
        """The output of that name; see `predictions`."""
        return self.predictions(signature, inputs)[output]

    def predictions(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name.

        Args:
          signature: of the graph.
          inputs: all of the signature's, float32, of its shapes. One that is read-only is handed
            to LiteRT once, until the next call brings another array in its place.

        Raises LiteRTError.
        """
        with self._lock:
            quiet = contextlib.nullcontext() if signature in self._calls else without_notices()
            try:
                call = self._call(signature)
                _check(signature, call.shapes, inputs)
                for name, array in inputs.items():
                    if call.sent.get(name) is not array:
                        call.sent.pop(name, None)
                        call.inputs[name].write(array)
                    if not array.flags.writeable:
                        call.sent[name] = array
                with quiet:  # of outputs that are constants there is a notice
                    self._model.run_by_name(signature, call.inputs, call.outputs)
                return {
                    name: call.outputs[name].read(math.prod(shape), np.float32).reshape(shape)
                    for name, shape in call.results.items()
                }
            except (RuntimeError, ValueError) as error:
                raise LiteRTError(f"LiteRT cannot run {signature!r}: {error}.") from error

    def _call(self, signature: str) -> _Call:
        if signature not in self._calls:
            model = self._model
            inputs = model.get_input_tensor_details(signature)
            outputs = model.get_output_tensor_details(signature)
            call = _Call(
                {name: model.create_input_buffer_by_name(signature, name) for name in inputs},
                {name: tuple(each["shape"]) for name, each in inputs.items()},
                {},
                {name: model.create_output_buffer_by_name(signature, name) for name in outputs},
                {name: tuple(each["shape"]) for name, each in outputs.items()},
            )
            with without_notices():  # a process's first write prepares LiteRT once more
                for name, buffer in call.inputs.items():
                    buffer.write(np.zeros(call.shapes[name], np.float32))
            self._calls[signature] = call
        return self._calls[signature]


def _check(
    signature: str, shapes: Mapping[str, tuple[int, ...]], inputs: Mapping[str, Array]
) -> None:
    """Raises LiteRTError for what LiteRT itself would not notice."""
    for what, names in (("missing", shapes.keys() - inputs), ("unknown", inputs.keys() - shapes)):
        if names:
            raise LiteRTError(
                f"{signature!r} takes {len(shapes)} inputs; {len(names)} {what}, the first of "
                f"which is {min(names)}."
            )
    for name, array in inputs.items():
        if array.shape != shapes[name] or array.dtype != np.float32:
            raise LiteRTError(
                f"{signature!r} takes {name} as float32 {list(shapes[name])}, not {array.dtype} "
                f"{list(array.shape)}."
            )


@functools.cache
def _environment() -> Any:
    """What all graphs of a process share."""
    from ai_edge_litert.environment import Environment

    # Without a folder it looks for compilers of other processors, and complains of what it finds.
    return Environment.create(compiler_plugin_path=os.path.join(os.devnull, "none"))
