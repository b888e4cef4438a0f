"""Rendered scenes: traffic signs on photographs, to be found and told apart by their purpose.

Licence: MIT (npm's package mapillary_sprite_source); photographs: GPL-2+ (Debian's package mate-
  backgrounds) and BSD-3-Clause (the package scikit-image).
Sizes: 950 scenes of 192 x 192 pixels with up to four signs on a
  photograph; 700 to train, 100 to validate, 150 to test. Signs are held out, with all their
  national variants. Signs are never mirrored.
Command: launch/train --tasks=pocket_detection --size=192 --examples=8 --groups=1 --steps=3000
Expected: nothing is known yet.
"""

import io
import json
from collections.abc import Iterator

from PIL import Image

from adapters import carriers
from tasks.layout import Example
from tasks.scenes import CutOut, register_scenes, scenes
from tasks.signs import SPRITES

LABELS = ("complementary", "information", "regulatory", "warning")


def examples() -> Iterator[Example]:
    """Yields the scenes."""
    package = carriers.fetch(SPRITES)
    sheet = Image.open(io.BytesIO(carriers.read_member(package, "package/sprites/sprites@2x.png")))
    places = json.loads(carriers.read_member(package, "package/sprites/sprites@2x.json"))
    found = []
    for name, place in sorted(places.items()):
        sign, _, _ = name.rpartition("--")
        label, between, _ = sign.partition("--")
        if between and label in LABELS:
            left, top = place["x"], place["y"]
            drawn = sheet.crop((left, top, left + place["width"], top + place["height"]))
            found.append(CutOut(sign, drawn.convert("RGBA"), LABELS.index(label)))
    return scenes("sign_scenes", found)


TASK = register_scenes("sign_scenes", examples, LABELS, __doc__)
