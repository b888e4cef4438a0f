"""An ONNX graph in ONNX Runtime."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.export.onnx.installed import ONNXError
from adapters.runtime.signatures import LOGITS

KEY = "modelpatch"  # of the metadata, a JSON object
Array = npt.NDArray[np.float32]
_ERRORS_ALONE = 3


class Session:
    """A graph that `onnx.export` made; any number of threads may call it."""

    def __init__(self, graph: bytes, threads: int):
        """Opens a graph, to be run on so many threads. Raises ONNXError."""
        try:
            import onnxruntime
        except ImportError as error:
            raise ONNXError(
                "running an ONNX graph needs ONNX Runtime, which this installation lacks: pip "
                "install onnxruntime."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ALONE
        # Threads that wait by spinning take the processor from whoever runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own hierarchy begins there
            raise ONNXError(f"ONNX Runtime refuses the graph: {error}.") from error

    @property
    def about(self) -> dict[str, Any]:
        """What the graph's maker has said of it; empty for another maker's graph."""
        said = self._session.get_modelmeta().custom_metadata_map
        return json.loads(said.get(KEY, "{}"))

    def run(self, inputs: Mapping[str, Array]) -> Array:
        """The graph's logits; see `predictions`."""
        return self.predictions(inputs)[LOGITS]

    def predictions(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; raises ONNXError, also where an input is missing."""
        names = [output.name for output in self._session.get_outputs()]
        try:
            return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))
        except Exception as error:
            raise ONNXError(f"ONNX Runtime cannot run the graph: {error}.") from error
