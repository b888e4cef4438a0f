"""Drawings of traffic signs, to be told apart in the design of a country not seen in training.

Licence: MIT (npm's package mapillary_sprite_source).
Sizes: 48x48 pixels, on white; the 63 signs with at least four national variants. Variants are held
  out: 224 drawings to train, 65 to validate, 65 to test, of most signs one each.
Command: launch/train --tasks=pocket_decathlon
Expected: 27 to 44 % on test, by one run measured.
"""

import io
import json
import re
from collections.abc import Iterator

from PIL import Image

from adapters import carriers, preprocessing
from tasks import registry, splitting
from tasks.layout import Carried, Example
from tasks.task import Task

SPRITES = carriers.Carrier(
    registry="npm",
    package="mapillary_sprite_source",
    version="1.8.0",
    filename="mapillary_sprite_source-1.8.0.tgz",
    sha256="6266c97de1746319b9437355c853384e1c7dfc1f06973c8c37a3704a8ca763da",
    licence="MIT",
    contents="drawings of traffic signs",
)
LABELS = (
    "information--dead-end",
    "information--end-of-built-up-area",
    "information--parking",
    "information--stairs",
    "regulatory--bicycles-only",
    "regulatory--circular-intersection",
    "regulatory--end-of-no-overtaking",
    "regulatory--end-of-pedestrians-only",
    "regulatory--keep-left",
    "regulatory--keep-right",
    "regulatory--no-heavy-goods-vehicles",
    "regulatory--no-left-turn",
    "regulatory--no-motor-vehicles",
    "regulatory--no-overtaking",
    "regulatory--no-parking",
    "regulatory--no-parking-or-no-stopping",
    "regulatory--no-pedestrians",
    "regulatory--no-stopping",
    "regulatory--no-vehicles-carrying-dangerous-goods",
    "regulatory--stop",
    "regulatory--weight-limit",
    "warning--accident-area",
    "warning--bicycles-crossing",
    "warning--children",
    "warning--crossroads",
    "warning--dangerous-crosswinds-right",
    "warning--divided-highway",
    "warning--divided-highway-ends",
    "warning--domestic-animals",
    "warning--dual-lanes-turn-left-or-right",
    "warning--falling-rocks-or-debris-left",
    "warning--falling-rocks-or-debris-right",
    "warning--height-restriction",
    "warning--junction-with-a-side-road-perpendicular-left",
    "warning--junction-with-a-side-road-perpendicular-right",
    "warning--koala-crossing",
    "warning--loose-road-surface",
    "warning--low-flying-aircraft",
    "warning--offset-roads",
    "warning--pavement-ends",
    "warning--pedestrians-crossing",
    "warning--quay-or-river-bank",
    "warning--railroad-crossing",
    "warning--railroad-crossing-with-barriers",
    "warning--railroad-crossing-without-barriers",
    "warning--railroad-intersection",
    "warning--roadworks",
    "warning--roundabout",
    "warning--soft-shoulder",
    "warning--steep-ascent",
    "warning--steep-descent",
    "warning--stop-ahead",
    "warning--tractors",
    "warning--traffic-merges-left",
    "warning--traffic-queues-likely",
    "warning--traffic-signals",
    "warning--trail-crossing",
    "warning--trucks-rollover",
    "warning--tunnel",
    "warning--two-way-traffic",
    "warning--width-restriction",
    "warning--wild-animals",
    "warning--winding-road-first-right",
)


def examples() -> Iterator[Example]:
    """Yields every national variant (`NAME--g1`, `NAME--g2`, ...) of the chosen signs."""
    package = carriers.fetch(SPRITES)
    sheet = Image.open(io.BytesIO(carriers.read_member(package, "package/sprites/sprites@2x.png")))
    places = json.loads(carriers.read_member(package, "package/sprites/sprites@2x.json"))
    candidates = []
    for name, place in sorted(places.items()):
        sign, _, variant = name.rpartition("--")
        if sign in LABELS and re.fullmatch(r"g\d+", variant):
            left, top = place["x"], place["y"]
            drawn = sheet.crop((left, top, left + place["width"], top + place["height"]))
            # On white first: what differs only under full transparency is the same drawing.
            image = preprocessing.to_rgb(drawn, (255, 255, 255))
            candidates.append(splitting.Candidate(name, name, image, LABELS.index(sign)))
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


registry.register(
    Task(
        name="signs",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.27, 0.44),
    )
)
