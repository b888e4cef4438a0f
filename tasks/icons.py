"""Rendered interface icons, to be told apart by what they are about.

Rendered with Pillow: black on white, 64x64 pixels, from the solid style and, where free, the
regular one.

Licence: CC-BY-4.0 (icons) and OFL-1.1 (font), Font Awesome Free 6.6.0 (the package
  fontawesomefree).
Sizes: the icons that stand in exactly one category, of the 24 categories with at least twelve such
  icons; `humanitarian`, which cuts across the others, is not counted as a category. 372 images to
  train, 98 to validate, 154 to test: whole icons are held out, with all their styles.
Command: launch/train --tasks=pocket
Expected: 58 to 70 % on test; few icons a class, and categories of meaning rather
  than of shape, make this the hard task of the suite.
"""

import collections
import json
from collections.abc import Iterator

from adapters import carriers
from tasks import registry, rendering, splitting
from tasks.layout import Carried, Example
from tasks.task import Task

FONT_AWESOME = carriers.Carrier(
    registry="pip",
    package="fontawesomefree",
    version="6.6.0",
    filename="fontawesomefree-6.6.0-py3-none-any.whl",
    sha256="599b574431c9bd92ed5fc054d1045a07c42335da36c17884f2b934755eef9089",
    licence="icons CC-BY-4.0, font OFL-1.1",
    contents="interface icons",
)
LABELS = (
    "alphabet",
    "arrows",
    "buildings",
    "coding",
    "devices-hardware",
    "editing",
    "emoji",
    "energy",
    "files",
    "food-beverage",
    "gaming",
    "gender",
    "hands",
    "logistics",
    "maps",
    "media-playback",
    "medical-health",
    "money",
    "religion",
    "sports-fitness",
    "text-formatting",
    "time",
    "travel-hotel",
    "users-people",
)
STYLES = {"solid": "fa-solid-900.ttf", "regular": "fa-regular-400.ttf"}
FOLDER = "fontawesomefree/static/fontawesomefree"


def examples() -> Iterator[Example]:
    """Yields every style of the chosen icons."""
    wheel = carriers.fetch(FONT_AWESOME)
    fonts = {
        style: carriers.read_member(wheel, f"{FOLDER}/webfonts/{name}")
        for style, name in STYLES.items()
    }
    drawings = json.loads(carriers.read_member(wheel, f"{FOLDER}/metadata/icons.json"))
    listed = carriers.read_member(wheel, f"{FOLDER}/metadata/categories.yml").decode()
    candidates = [
        splitting.Candidate(
            group=icon,
            name=f"{icon}.{style}",
            image=rendering.icon(font, chr(int(drawings[icon]["unicode"], 16))),
            label=LABELS.index(category),
        )
        for icon, category in _in_one_category(categories(listed))
        if category in LABELS and "solid" in drawings[icon]["free"]
        for style, font in fonts.items()
        if style in drawings[icon]["free"]
    ]
    unique = splitting.without_duplicates(candidates)
    return splitting.hold_out_groups(unique, fractions=(0.6, 0.15, 0.25))


def categories(text: str) -> dict[str, list[str]]:
    """Reads the one shape of YAML that this file has: `category:`, then lines `    - icon`."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("    - "):
            found[next(reversed(found))].append(line.removeprefix("    - ").strip("\"'"))
        elif line and not line.startswith(" "):
            found[line.removesuffix(":")] = []
    return found


def _in_one_category(listed: dict[str, list[str]]) -> list[tuple[str, str]]:
    places = collections.defaultdict(list)
    for category, icons in listed.items():
        if category != "humanitarian":
            for icon in icons:
                places[icon].append(category)
    return sorted((icon, found[0]) for icon, found in places.items() if len(found) == 1)


registry.register(
    Task(
        name="icons",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.58, 0.70),
    )
)
