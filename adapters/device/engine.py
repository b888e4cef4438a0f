"""A LiteRT graph that many threads may call."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.errors import ModelPatchError

Array = npt.NDArray[np.float32]


class LiteRTError(ModelPatchError):
    """LiteRT is not installed, or cannot run a graph."""


class Engine:
    """One interpreter, whose calls take turns: an interpreter serves one thread at a time."""

    def __init__(self, flatbuffer: bytes, threads: int):
        """Opens a `.tflite`, to be run on so many threads. Raises LiteRTError."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise LiteRTError(
                "running a graph needs LiteRT, which this installation lacks: pip install "
                "'.[device]'. It is made for Linux, Windows and macOS on Apple silicon."
            ) from error
        try:
            self._interpreter = Interpreter(model_content=flatbuffer, num_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise LiteRTError(f"LiteRT refuses the graph: {error}.") from error
        self._runners: dict[str, Any] = {}
        self._lock = threading.Lock()

    def run(self, signature: str, inputs: Mapping[str, Array], output: str) -> Array:
        """The output of that name.

        Args:
          signature: of the graph.
          inputs: all of the signature's, float32; LiteRT refuses a missing one.
          output: of the signature.

        Raises LiteRTError.
        """
        with self._lock:
            try:
                if signature not in self._runners:
                    # LiteRT prepares a signature only when it is first asked for.
                    self._runners[signature] = self._interpreter.get_signature_runner(signature)
                return self._runners[signature](**inputs)[output]
            except (RuntimeError, ValueError) as error:
                raise LiteRTError(f"LiteRT cannot run {signature!r}: {error}.") from error
