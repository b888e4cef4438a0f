"""Rendered Latin letters and digits of typefaces not seen in training.

Rendered with Pillow: black on white, 48x48 pixels, one size on a common baseline, so that `o`, `O`
and `0` differ as they do in text.

Licence: SIL Open Font License 1.1 (Caladea: Apache-2.0); nine font packages of pip. `font-roboto`
  is left out: it exists only as a source distribution, which would run code.
Sizes: 62 classes; whole families are held out. Train: 33 fonts of six families (Amatic SC, Fredoka
  One, Hanken Grotesk, Intuitive, Manrope, Source Serif Pro); validation: 12 of Source Sans Pro;
  test: 14 of Caladea and Lato. Glyphs that are pixel-identical across classes are dropped, which
  leaves 2,032, 744 and 868 images.
Command: launch/train --tasks=pocket
Expected: 94.5 to 97.5 % on test; some pairs, such as `l` and `I`, cannot be told
  apart in some fonts.
"""

import pathlib
import string
from collections.abc import Iterator
from typing import NamedTuple

from adapters import carriers
from tasks import registry, rendering, splitting
from tasks.layout import Carried, Example
from tasks.task import Task

LABELS = tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase)


class Family(NamedTuple):
    """A typeface, its package, and the split all its fonts are in."""

    package: str
    version: str
    sha256: str
    split: str
    licence: str = "OFL-1.1"


FAMILIES = (
    Family(
        package="font-amatic-sc",
        version="0.0.4",
        sha256="2db7342b0fc448ae8b9f64002b0998ccd0ed8f9307d0c823de8b95c53d01d11e",
        split="train",
    ),
    Family(
        package="font-fredoka-one",
        version="0.0.4",
        sha256="f177fdb46dcb7be565a68ece3a7b353a92cf038554a037f57b6303f6a5478ff8",
        split="train",
    ),
    Family(
        package="font-hanken-grotesk",
        version="0.0.2",
        sha256="7c3609e9bcdc2c9550b2a3baaed937eb7598fc1034e7df1ebcc4eb5489fa86f9",
        split="train",
    ),
    Family(
        package="font-intuitive",
        version="0.0.4",
        sha256="344184f23f7fa1d3b8cee328f92d268dcf5e18d15e46ef979165863cb897924a",
        split="train",
    ),
    Family(
        package="font-manrope",
        version="0.0.2",
        sha256="2ca9192f3602a3459323dfd7447c8c5ffa0795696c62fac465ef7c9b0521d292",
        split="train",
    ),
    Family(
        package="font-source-serif-pro",
        version="0.0.1",
        sha256="38dd9a8d8027d22aa8ef2d10d27d7c558701b32772ff9f3790f509577e91dca4",
        split="train",
    ),
    Family(
        package="font-source-sans-pro",
        version="0.0.1",
        sha256="2250396f565a0fea35726e56059216d1d5d75071d64d075ebdfec183b4b85765",
        split="validation",
    ),
    Family(
        package="font-caladea",
        version="0.0.2",
        sha256="eab5b77f1da830226524f419d16d4bc4cb5b68d2de0f47ef83760a8b202e94bc",
        split="test",
        licence="Apache-2.0",
    ),
    Family(
        package="font-lato",
        version="0.1.0",
        sha256="ff74f2d4647187bac4b853ab8215e6b2afe124fcd01c809629aadd8f4356e959",
        split="test",
    ),
)


def examples() -> Iterator[Example]:
    """Yields every character of every font."""
    split_of = {}
    candidates = []
    for family in FAMILIES:
        for font, data in _fonts(family).items():
            split_of[font] = family.split
            for label, character in enumerate(LABELS):
                name = f"{font}/{ord(character):04x}"
                candidates.append(
                    splitting.Candidate(font, name, rendering.letter(data, character), label)
                )
    for candidate in splitting.without_duplicates(candidates):
        yield Example(split_of[candidate.group], candidate.name, candidate.image, candidate.label)


def _fonts(family: Family) -> dict[str, bytes]:
    """Returns the fonts of a family by name; a style given as both .ttf and .otf counts once."""
    module = family.package.replace("-", "_")
    wheel = carriers.fetch(
        carriers.Carrier(
            registry="pip",
            package=family.package,
            version=family.version,
            filename=f"{module}-{family.version}-py3-none-any.whl",
            sha256=family.sha256,
            licence=family.licence,
            contents="a typeface",
        )
    )
    members = sorted(carriers.iterate_members(wheel, prefix=f"{module}/files/"))
    return {
        pathlib.PurePath(name).stem: data
        for name, data in members
        if name.endswith((".otf", ".ttf")) and "Variable" not in name
    }


registry.register(
    Task(
        name="glyphs",
        source=Carried(examples),
        labels=LABELS,
        description=__doc__,
        expected=(0.945, 0.975),
    )
)
