"""An ONNX graph in ONNX Runtime."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adapters.device.onnx.convert import ONNXError, check_installed
from adapters.device.signatures import LOGITS

Array = npt.NDArray[np.float32]
_ERRORS_ALONE = 3


class Session:
    """A graph that `onnx.export` made; any number of threads may call it."""

    def __init__(self, graph: bytes, threads: int):
        """Opens a graph, to be run on so many threads. Raises ONNXError."""
        check_installed()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ALONE
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own hierarchy begins there
            raise ONNXError(f"ONNX Runtime refuses the graph: {error}.") from error

    def run(self, inputs: Mapping[str, Array]) -> Array:
        """The graph's logits; raises ONNXError, also where an input is missing."""
        try:
            return self._session.run([LOGITS], dict(inputs))[0]
        except Exception as error:
            raise ONNXError(f"ONNX Runtime cannot run the graph: {error}.") from error
