"""Which heads an exported graph has room for: what they compute, how wide, for images of what size.

A graph has a room for every head that reads the pooled features alone, whatever it is called, and
further ones as it was exported: each has signatures of its own, and all share the backbone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from adapters.heads.contract import Head
from adapters.heads.registry import from_settings
from adapters.runtime import signatures


class Room(NamedTuple):
    """Heads that a graph takes.

    Attributes:
      kind, settings: of one of them; the others compute the same (`Head.computes`).
      channels: of the maps that they read, by the maps' names.
      outputs: the most that one may have.
      size: side of their images, in pixels.
    """

    kind: str
    settings: Mapping[str, Any]
    channels: Mapping[str, int]
    outputs: int
    size: int

    @property
    def head(self) -> Head:
        """One of them. Raises as `from_settings`."""
        return from_settings(self.kind, self.settings)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """{input of the graph: shape} of a head of all outputs."""
        shapes = self.head.shapes(self.channels, self.outputs)
        return {signatures.HEAD + leaf: shape for leaf, shape in shapes.items()}
