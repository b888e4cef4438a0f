"""From JAX functions of one image to ONNX graphs of many."""
