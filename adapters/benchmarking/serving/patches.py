"""The patch files that a benchmark of servers is about."""

from collections.abc import Sequence

from adapters.experiment import backbones
from adapters.experiment.backbones import Loaded
from adapters.heads.registry import check_classifier
from adapters.store.contents import PatchContents
from adapters.store.read import read_patch


def read(paths: Sequence[str], weights: str | None) -> tuple[Loaded, list[PatchContents]]:
    """The backbone of patch files, and what they hold, through every check but parity.

    Args:
      paths: of files for one backbone.
      weights: the backbone's local checkpoint, if it needs one.

    Raises PatchFileError, OtherHeadError where a head is no classifier's, and what `backbones.load`
    raises.
    """
    cards = [read_patch(path) for path in paths]
    for card in cards:
        check_classifier(card, "the benchmark of serving")
    backbone = backbones.load(cards[0].backbone, weights)
    return backbone, [
        read_patch(
            path,
            shapes=backbone.shapes,
            features=backbone.network.table.features,
            fingerprint=backbone.fingerprint,
        )
        for path in paths
    ]
