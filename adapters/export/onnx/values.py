"""What stands for an array of a JAX function of one image in an ONNX graph of many."""

from typing import Any, NamedTuple, TypeGuard

import numpy.typing as npt

from adapters.errors import ModelPatchError

Constant = npt.NDArray[Any]
Shape = tuple[int, ...]


class UnsupportedOperationError(ModelPatchError):
    """A network computes something that has no ONNX operation here."""


class Tensor(NamedTuple):
    """A tensor of the graph that stands for an array.

    Attributes:
      name: of the tensor.
      shape: of the array.
      stored: the array's axes in the order in which the tensor has them. The array is the same
        along those that are left out. So [H, W, C] is stored as [C, H, W], as ONNX convolutions
        want it, and a transposition or a new axis costs nothing.
      mapped: whether it depends on the image: the tensor then begins with the axis of images.
    """

    name: str
    shape: Shape
    stored: tuple[int, ...]
    mapped: bool

    def position(self, axis: int) -> int:
        """Where the tensor has an axis of the array."""
        return self.stored.index(axis) + self.mapped


Value = Constant | Tensor


def is_image(value: Value) -> TypeGuard[Tensor]:
    """Whether the value is [H, W, C], stored as convolutions give it."""
    if not isinstance(value, Tensor) or len(value.shape) != 3:
        return False
    return value.mapped and value.stored == (2, 0, 1)


def channels(value: Value) -> Constant | str | None:
    """An array that is the same at all pixels, as a vector [C] of numbers or a tensor's name."""
    if isinstance(value, Tensor):
        last = len(value.shape) - 1
        return value.name if not value.mapped and value.stored == (last,) else None
    return value.reshape(-1) if value.ndim and value.shape[-1] == value.size else None
