"""Tux Paint's stamps: cut-out photographs and drawings of things, on white.

Licence: GPL-2 (Debian's package tuxpaint-stamps-default).
Sizes: 374 images of 12 classes, shrunk to a short side of 72 pixels unless the network sees larger
  ones; 260 to train, 57 to validate, 57 to test. Mirrored versions are left out.
Command: launch/train --tasks=pocket_decathlon
Expected: 70 to 88 % on test, by one run measured.
"""

from collections.abc import Iterator

from adapters import carriers, preprocessing
from tasks import layout, registry, splitting
from tasks.augmentation import Augmentation
from tasks.layout import Carried, Example
from tasks.task import Task

STAMPS = carriers.Carrier(
    registry="apt",
    package="tuxpaint-stamps-default",
    version="2022.06.04-1",
    filename="tuxpaint-stamps-default_2022.06.04-1_all.deb",
    sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    licence="GPL-2",
    contents="cut-out photographs and drawings",
)
LABELS = {
    "birds": ("animals/birds/",),
    "fish": ("animals/fish/", "animals/shellfish/"),
    "flowers": ("plants/flowers/",),
    "fruit": ("food/fruit/",),
    "houses": ("town/houses/",),
    "household": ("household/",),
    "insects": ("animals/insects/",),
    "mammals": ("animals/mammals/",),
    "money": ("symbols/money/",),
    "road signs": ("town/roadsigns/",),
    "vegetables": ("food/vegetables/",),
    "vehicles": ("vehicles/",),
}
FOLDER = "usr/share/tuxpaint/stamps/"


def examples() -> Iterator[Example]:
    """Yields the stamps of the chosen folders."""
    candidates = []
    for member, data in carriers.iterate_members(carriers.fetch(STAMPS), FOLDER, ".png"):
        name = member.removeprefix(FOLDER)
        for label, folders in enumerate(LABELS.values()):
            if name.startswith(folders) and not name.endswith(("_mirror.png", "_flip.png")):
                image = preprocessing.decode(data, shrink_to=layout.SHORT_SIDE)
                candidates.append(splitting.Candidate(name, name, image, label, file=data))
    return splitting.hold_out_groups(splitting.without_duplicates(candidates))


registry.register(
    Task(
        name="stamps",
        source=Carried(examples),
        labels=tuple(LABELS),
        description=__doc__,
        expected=(0.70, 0.88),
        fit="pad",
        augmentation=Augmentation(flip=True),
    )
)
