"""Rendered interface icons and every category they stand in: several labels at once.

Drawn as for the task `icons`, but of all icons, with all the categories that each stands in.

Licence: CC-BY-4.0 (icons) and OFL-1.1 (font), Font Awesome Free 6.6.0 (the package
  fontawesomefree).
Sizes: 64x64 pixels, 42 categories, those with 15 icons or more; 1,020 images to train, 216 to
  validate, 218 to test: an icon's styles are in one split. Half of the images have one category,
  the others two to seven.
Command: launch/train --tasks=icon_categories,solar_cell_defects --steps=800
Expected: a mean average precision of 28 to 40 % on test, by one run measured: 34.
"""

import json
from collections.abc import Iterator

from adapters import carriers
from tasks import cutting, registry, rendering
from tasks.icons import FOLDER, FONT_AWESOME, STYLES, categories
from tasks.layout import Carried, Example
from tasks.task import Task

LABELS = (
    "accessibility",
    "alphabet",
    "animals",
    "arrows",
    "astronomy",
    "automotive",
    "buildings",
    "business",
    "camping",
    "charity",
    "charts-diagrams",
    "childhood",
    "coding",
    "communication",
    "construction",
    "design",
    "devices-hardware",
    "editing",
    "emoji",
    "energy",
    "files",
    "food-beverage",
    "gaming",
    "hands",
    "household",
    "humanitarian",
    "maps",
    "media-playback",
    "medical-health",
    "money",
    "nature",
    "religion",
    "science",
    "security",
    "shopping",
    "sports-fitness",
    "text-formatting",
    "time",
    "transportation",
    "travel-hotel",
    "users-people",
    "weather",
)


def examples() -> Iterator[Example]:
    """Yields every style of every icon that has one of the labels; an icon is in one split."""
    wheel = carriers.fetch(FONT_AWESOME)
    fonts = {
        style: carriers.read_member(wheel, f"{FOLDER}/webfonts/{name}")
        for style, name in STYLES.items()
    }
    drawings = json.loads(carriers.read_member(wheel, f"{FOLDER}/metadata/icons.json"))
    listed = categories(carriers.read_member(wheel, f"{FOLDER}/metadata/categories.yml").decode())
    labels = {
        icon: tuple(float(icon in listed[label]) for label in LABELS)
        for icon in sorted({icon for label in LABELS for icon in listed[label]})
        if "solid" in drawings[icon]["free"]
    }
    for split, icons in cutting.cut_by_hash(list(labels), str).items():
        for icon in icons:
            for style, font in fonts.items():
                if style in drawings[icon]["free"]:
                    drawn = rendering.icon(font, chr(int(drawings[icon]["unicode"], 16)))
                    yield Example(split, f"{icon}.{style}", drawn, labels[icon])


registry.register(
    Task(
        name="icon_categories",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.28, 0.40),
        head="multilabel",
    )
)
