"""Rendered scenes: Tux Paint's cut-out things on photographs, to be found and told apart.

Licence: GPL-2 (Debian's package tuxpaint-stamps-default); photographs: GPL-2+ (Debian's package
  mate-backgrounds) and BSD-3-Clause (the package scikit-image).
Sizes: 950 scenes of 192 x 192 pixels with up to four things on a
  photograph; 700 to train, 100 to validate, 150 to test. Files are held out, and with a file all
  others of the same thing.
Command: launch/train --tasks=pocket_detection --size=192 --examples=8 --groups=1 --steps=3000
Expected: nothing is known yet.
"""

import re
from collections.abc import Iterator

from adapters import carriers
from tasks.layout import Example
from tasks.photographs import rgba
from tasks.scenes import CutOut, register_scenes, scenes
from tasks.stamps import FOLDER, LABELS, STAMPS

CHOSEN = ("birds", "fish", "flowers", "fruit", "mammals", "vehicles")


def examples() -> Iterator[Example]:
    """Yields the scenes."""
    return scenes("stamp_scenes", cut_outs())


def cut_outs() -> list[CutOut]:
    """The things of the chosen classes."""
    found = []
    for member, data in carriers.iterate_members(carriers.fetch(STAMPS), FOLDER, ".png"):
        name = member.removeprefix(FOLDER)
        for label, chosen in enumerate(CHOSEN):
            if name.startswith(LABELS[chosen]) and not name.endswith(("_mirror.png", "_flip.png")):
                found.append(CutOut(thing(name), rgba(data), label))
    return found


def thing(name: str) -> str:
    """What a file shows, without the number of the picture: `animals/frog` of `animals/frog-1.png`.

    >>> thing("animals/frog-1.png"), thing("plants/red_rose02.png")
    ('animals/frog', 'plants/red_rose')
    """
    return re.sub(r"[-_ ]?\d*$", "", name.removesuffix(".png"))


TASK = register_scenes("stamp_scenes", examples, CHOSEN, __doc__, flip=True)
