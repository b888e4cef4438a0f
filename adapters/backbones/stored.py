"""Tensors of a file before they are read: a file may say of itself what it likes.

A few bytes can describe gigabytes: zeros compressed, one value that stands for many. So readers
give names, shapes and types, and the converter reads those tensors alone that have the shape of one
in the layer table.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, Union

import numpy as np


class Tensor(Protocol):
    """An array, or what becomes one by `np.asarray`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...


Tree = Mapping[str, Union[Tensor, "Tree"]]
"""Tensors by name, and dictionaries of tensors by the name that a file wraps them in."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """A tensor that is still in its file.

    Attributes:
      shape, dtype: of the array.
      read: gives it; raises the error of the file's reader where its values are damaged.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype)


def tables(tree: Tree) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Every dictionary of `tree` in which tensors lie: how it is wrapped, and those tensors.

    One that lies in several places, or in itself, comes once.
    """
    waiting: list[tuple[tuple[str, ...], Tree]] = [((), tree)]
    seen: set[int] = set()
    while waiting:
        wrapping, inner = waiting.pop(0)
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        tensors: dict[str, Tensor] = {}
        for name, item in inner.items():
            if isinstance(item, Mapping):
                waiting.append(((*wrapping, name), item))
            else:
                tensors[name] = item
        if tensors:
            yield wrapping, tensors


def widened(halves: np.ndarray) -> np.ndarray:
    """bfloat16, as the integers of the same bits, to float32: its upper half."""
    wide = halves.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
