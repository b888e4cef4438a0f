"""TensorFlow's numbers for types of elements (tensorflow/core/framework/types.proto)."""

import numpy as np

from adapters.backbones.stored import widened as stored_widened
from adapters.backbones.tensorflow.error import TensorFlowFileError
from adapters.shown import shown

_BFLOAT16 = 14
_ELEMENTS = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|b1",
    _BFLOAT16: "<u2",  # the upper half of a float32
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}


def element(number: int, title: str) -> np.dtype:
    """How NumPy reads elements of a type. Raises TensorFlowFileError for text and rarer numbers."""
    if number not in _ELEMENTS:
        raise TensorFlowFileError(
            f"{shown(title)} has elements of TensorFlow's type {number}, which is not read here: "
            "convert it to float32 first."
        )
    return np.dtype(_ELEMENTS[number])


def widened(stored: np.ndarray, number: int) -> np.ndarray:
    """bfloat16 as float32, everything else as it is."""
    if number == _BFLOAT16:
        return stored_widened(stored)
    return stored
