"""Reading pickled arrays without running what a pickle can run.

A pickle is a program that may call anything importable. Here a machine of our own runs it
(`pickle_machine.py`), which resolves names on a list alone, and each to a stand-in of ours: neither
NumPy's nor PyTorch's own reconstructors ever see the bytes.
"""

import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from adapters import errors, pickle_machine
from adapters.pickle_machine import Names, PickleError, Unread
from adapters.shown import shown_value

__all__ = ["NUMPY", "Names", "PickleError", "Unread", "load", "load_array"]


def load(file: BinaryIO, names: Names, persistent: Callable[[Any], Any] | None = None) -> Any:
    """Reads one pickle from `file`, which is left behind its end.

    Args:
      file: a binary stream.
      names: all that the pickle may refer to.
      persistent: called with every persistent id (PyTorch's way to name storages).

    Raises PickleError.
    """
    try:
        return pickle_machine.run(file, names, persistent)
    except errors.ModelPatchError:
        raise
    except Exception as error:  # a damaged pickle may fail in any way the stand-ins can
        said = shown_value(str(error))
        raise PickleError(f"the pickle cannot be read ({type(error).__name__}: {said}).") from error


def load_array(file: BinaryIO) -> np.ndarray:
    """Reads a pickle that is one NumPy array of numbers or booleans. Raises PickleError."""
    loaded = load(file, NUMPY)
    if not isinstance(loaded, _Array) or loaded.value is None:
        raise PickleError(f"the pickle holds {type(loaded).__name__}, not one array.")
    return loaded.value


class _Type:
    """Stands in for `numpy.dtype`: a type code, whose byte order arrives as state."""

    def __init__(self, code: str, *_: bool):
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufc":
            raise PickleError(f"the pickle holds an array of dtype {self.dtype}, not of numbers.")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *_structure = state
        if order in "<>":
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for `numpy.ndarray`: made empty, then given its state."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.fill(data, kind, shape, "F" if fortran else "C")

    def fill(self, data: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> None:
        if len(data) != math.prod(shape) * kind.dtype.itemsize or order not in ("C", "F"):
            raise PickleError(
                f"an array of shape {shown_value(shape)} has {len(data)} bytes, order "
                f"{shown_value(order)}."
            )
        values = np.frombuffer(data, kind.dtype)
        self.value = values.reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> _Array:
    if kind is not _Array:
        raise PickleError("the pickle holds an array of a class that is not plain ndarray.")
    return _Array()


def _from_buffer(data: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.fill(data, kind, shape, order)
    return array


NUMPY: Names = {
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    # Protocols 0 to 2 spell bytes as latin-1 text to encode, and none as a call.
    ("__builtin__", "bytes"): lambda: b"",
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}
