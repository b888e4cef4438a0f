"""The patch files that a benchmark of servers is about."""

from collections.abc import Sequence

from adapters.experiment import backbones
from adapters.experiment.backbones import Loaded
from adapters.store.contents import PatchContents
from adapters.store.read import read_patch


def read(paths: Sequence[str], weights: str | None) -> tuple[Loaded, list[PatchContents]]:
    """The backbone of patch files, and what they hold, through every check but parity.

    Args:
      paths: of files for one backbone.
      weights: the backbone's local checkpoint, if it needs one.

    Raises PatchFileError, and what `backbones.load` raises.
    """
    backbone = backbones.load(read_patch(paths[0]).backbone, weights)
    return backbone, [
        read_patch(
            path,
            shapes=backbone.shapes,
            features=backbone.network.table.features,
            fingerprint=backbone.fingerprint,
        )
        for path in paths
    ]
