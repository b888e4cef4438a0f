"""Rendered scenes of one emoji on a photograph, and its classes at three levels of one tree.

`placed_emoji` knows the pixels of each emoji; the others are told its class alone: one of three
`kinds` (living, things, signs), of nine `groups` or of 55 `subgroups`, as Unicode has them (kinds
are ours). They are for asking where a classifier looks, and what the level that it is told does to
that (arXiv 2207.10225).

Licence: Apache-2.0 (Google's Noto) and CC BY 4.0 (Twitter's Twemoji); metadata MIT; photographs:
  GPL-2+ (Debian's package mate-backgrounds) and BSD-3-Clause (the package scikit-image).
Sizes: 2,500 scenes of 128 x 128 pixels, each with an emoji of 20 to 60 % of that; 2,000 to train,
  250 to validate, 250 to test. Subgroups with twelve emoji or more, all as frequent. Emoji are held
  out, with both drawings: so there is no finer level, of single emoji, whose classes would be
  unknown on test.
Command: launch/train --tasks=placed_emoji_kinds,placed_emoji_groups,placed_emoji_subgroups
  --size=96 --steps=300
Expected: nothing is known yet.
"""

import json
from collections.abc import Iterator, Mapping

from adapters import carriers
from tasks import registry
from tasks.augmentation import Augmentation
from tasks.emoji import CARRIERS
from tasks.layout import Carried, Example
from tasks.levels import at_level
from tasks.photographs import cutting, photographs, rgba
from tasks.scenes import CutOut, drawn, scene
from tasks.task import Task

SIDE = 128  # pixels
SCENES = {"train": 2000, "validation": 250, "test": 250}
SIDES = (round(0.2 * SIDE), round(0.6 * SIDE) + 1)  # of an emoji's longer side, pixels
TREE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "living": {
        "Animals & Nature": (
            *("animal-bird", "animal-bug", "animal-mammal", "animal-marine"),
            *("plant-flower", "plant-other"),
        ),
        "People & Body": (
            *("body-parts", "family", "person", "person-activity", "person-fantasy"),
            *("person-gesture", "person-role", "person-sport"),
        ),
        "Smileys & Emotion": (
            *("emotion", "face-concerned", "face-neutral-skeptical", "face-smiling"),
            *("face-unwell", "heart"),
        ),
    },
    "things": {
        "Activities": ("event", "game", "sport"),
        "Food & Drink": (
            *("drink", "food-asian", "food-fruit", "food-prepared", "food-sweet"),
            "food-vegetable",
        ),
        "Objects": (
            *("book-paper", "clothing", "computer", "household", "light & video", "mail"),
            *("musical-instrument", "office", "tool"),
        ),
        "Travel & Places": (
            *("place-building", "place-other", "sky & weather", "time", "transport-air"),
            "transport-ground",
        ),
    },
    "signs": {
        "Flags": ("country-flag",),
        "Symbols": (
            *("alphanum", "arrow", "av-symbol", "geometric", "keycap", "other-symbol"),
            *("religion", "transport-sign", "warning", "zodiac"),
        ),
    },
}
PATHS = tuple(
    (kind, group, subgroup)
    for kind, groups in TREE.items()
    for group, subgroups in groups.items()
    for subgroup in subgroups
)
KINDS, GROUPS, SUBGROUPS = (tuple(dict.fromkeys(level)) for level in zip(*PATHS, strict=True))


def examples() -> Iterator[Example]:
    """Yields the scenes, with the class of each pixel: 0 the photograph, 1 the emoji."""
    grounds = photographs()
    for split, name, things, generator in drawn("placed_emoji", _cut_outs(), SCENES):
        ground = cutting(grounds[generator.integers(len(grounds))], SIDE, generator)
        made = scene(ground, things, generator, objects=(1, 2), sides=SIDES)
        for row in made.objects:
            path = "/".join(PATHS[int(row[4])])
            yield Example(split, f"{path}/{name}", made.image, (made.numbers > 0).astype(int))


def _cut_outs() -> Iterator[CutOut]:
    """Both drawings of every emoji of these subgroups."""
    labels = {path[1:]: label for label, path in enumerate(PATHS)}
    for maker, carrier in CARRIERS.items():
        package = carriers.fetch(carrier)
        records = json.loads(carriers.read_member(package, "package/emoji.json"))
        known = {each["image"]: (each["category"], each["subcategory"]) for each in records}
        folder = f"package/img/{maker}/64/"
        for member, data in carriers.iterate_members(package, folder, ".png"):
            code = member.removeprefix(folder)
            if (label := labels.get(known.get(code, ("", "")))) is not None:
                yield CutOut(code, rgba(data), label)


PLAIN = registry.register(
    Task(
        name="placed_emoji",
        source=Carried(examples, short_side=SIDE),
        labels=("ground", "emoji"),
        description=__doc__,
        expected=(0.0, 1.0),
        augmentation=Augmentation(crop=(0.5, 1.0), flip=True),
        head="segmentation",
    )
)
for _depth, (_level, _labels) in enumerate(
    {"kinds": KINDS, "groups": GROUPS, "subgroups": SUBGROUPS}.items()
):
    registry.register(at_level(PLAIN, _depth, f"placed_emoji_{_level}", _labels))
