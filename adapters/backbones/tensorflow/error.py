"""What is wrong with a file of TensorFlow's."""

from adapters import errors


class TensorFlowFileError(errors.ModelPatchError):
    """A TensorFlow checkpoint or frozen graph is damaged, or of a kind that is not read."""
