"""The modules that a block is made of, as its row describes them."""

from typing import NamedTuple

from adapters.modules import Kind


class Part(NamedTuple):
    """One module of a block.

    Attributes:
      name: its path inside the block; empty where the block is this one module.
      kind: which leaves it has.
      inputs, outputs: channels.
      kernel: side of its kernel, in pixels.
      stride: its own.
      normed: whether a norm follows, in a module of its own under this one.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    normed: bool = True
