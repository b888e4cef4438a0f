"""Where a network's image lies in the picture that it was made of."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class View(NamedTuple):
    """A picture, and which part of it a network's image shows.

    Attributes:
      width, height: of the picture as it is seen, in pixels.
      left, top, right, bottom: edges of the network's image in parts of the picture's sides; below
        0 and above 1 where there is padding.
    """

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    def boxes(self, boxes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Boxes [N, 4] in parts of the picture's sides, and inside it.

        Args:
          boxes: left, top, right and bottom in parts of the sides of the network's image.
        """
        origin = np.array([self.left, self.top])
        sides = np.array([self.right, self.bottom]) - origin
        found = boxes * np.tile(sides, 2) + np.tile(origin, 2)
        return np.clip(found, 0, 1).astype(np.float32)

    def rows(self) -> npt.NDArray[np.float64]:
        """Where the centre of each row of pixels lies, in parts of the network's image."""
        centres = (np.arange(self.height) + 0.5) / self.height
        return (centres - self.top) / (self.bottom - self.top)

    def columns(self) -> npt.NDArray[np.float64]:
        """The same of each column."""
        centres = (np.arange(self.width) + 0.5) / self.width
        return (centres - self.left) / (self.right - self.left)
