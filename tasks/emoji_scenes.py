"""Rendered scenes: emoji of two makers on photographs, to be found and told apart by group.

Licence: Apache-2.0 (Google's Noto) and CC BY 4.0 (Twitter's Twemoji); metadata MIT; photographs:
  GPL-2+ (Debian's package mate-backgrounds) and BSD-3-Clause (the package scikit-image).
Sizes: 950 scenes of 192 x 192 pixels with up to four emoji on a
  photograph; 700 to train, 100 to validate, 150 to test. Emoji are held out, with both drawings.
Command: launch/train --tasks=pocket_detection --size=192 --examples=8 --groups=1 --steps=3000
Expected: nothing is known yet.
"""

import json
from collections.abc import Iterator

from adapters import carriers
from tasks.emoji import CARRIERS
from tasks.layout import Example
from tasks.photographs import rgba
from tasks.scenes import CutOut, register_scenes, scenes

LABELS = (
    "Animals & Nature",
    "Flags",
    "Food & Drink",
    "Objects",
    "Smileys & Emotion",
    "Travel & Places",
)


def examples() -> Iterator[Example]:
    """Yields the scenes."""
    found = []
    for maker, carrier in CARRIERS.items():
        package = carriers.fetch(carrier)
        records = json.loads(carriers.read_member(package, "package/emoji.json"))
        groups = {record["image"]: record["category"] for record in records}
        folder = f"package/img/{maker}/64/"
        for member, data in carriers.iterate_members(package, folder, ".png"):
            code = member.removeprefix(folder)
            if groups.get(code) in LABELS:
                found.append(CutOut(code, rgba(data), LABELS.index(groups[code])))
    return scenes("emoji_scenes", found)


TASK = register_scenes("emoji_scenes", examples, LABELS, __doc__, flip=True)
