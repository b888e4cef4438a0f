"""What a server takes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes.

    Attributes:
      image_bytes, patch_bytes: of a body.
      pixels: of an image, width times height.
      body_seconds: that a body may take to arrive.
      queue: images that may be arriving, decoded or waiting for the network.
      answers: labels in an answer, the most telling first.
    """

    image_bytes: int = 10_000_000
    patch_bytes: int = 20_000_000
    pixels: int = 50_000_000
    body_seconds: float = 30.0
    queue: int = 256
    answers: int = 5
