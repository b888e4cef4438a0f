"""Patch files read through every check, ready to answer."""

import dataclasses
import os

from adapters.experiment import backbones
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference, inference, parity_check
from adapters.inference.first_look import first_look
from adapters.inference.maps import check_maps
from adapters.patches.contract import Patch, Prepare
from adapters.preprocessing import Preprocessing
from adapters.runtime.preprocessing_check import check_preprocessing
from adapters.store.contents import PatchContents
from adapters.store.errors import naming
from adapters.store.read import decode_patch

EXAMPLES = 64  # images in a compiled batch, if they are not too large
_LARGE = 224  # a side in pixels; a batch holds no more pixels than this many images of it


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class OpenedPatch:
    """A patch file that has passed every check, and what it needs to answer.

    `prepare` is what its patch does when it first looks at an image.
    """

    contents: PatchContents
    prepare: Prepare
    backbone: backbones.Loaded
    preprocessing: Preprocessing
    network: Inference


def opened(
    path: str | os.PathLike[str],
    data: bytes,
    backbone: backbones.Loaded,
    examples: int | None = None,
    patch: Patch | None = None,
    network: Inference | None = None,
) -> OpenedPatch:
    """The patch file whose bytes are `data`, when it has passed every check.

    Args:
      path: for messages.
      data: of the file.
      backbone: that it must be for.
      examples: how many images are answered at once, by default what `examples_of` gives.
      patch: that the file was trained with, where no spec in it says so.
      network: of this backbone, size and patch, if there is a compiled one already.

    Raises:
      PatchFileError: the file fails a check.
      PatchNeededError: it cannot be used without `patch`.
    """
    with naming(path):
        contents = decode_patch(
            data,
            shapes=backbone.shapes,
            features=backbone.network.table.features,
            fingerprint=backbone.fingerprint,
        )
        checkpoint = backbone.checkpoint
        preprocessing = check_preprocessing(contents, checkpoint.mean, checkpoint.std)
        prepare = first_look(contents, patch)
        check_maps(contents, backbone.network.table)
        if network is None:
            count = examples or examples_of(preprocessing.size)
            taps = head_of(contents).taps
            network = inference(backbone.network, count, preprocessing.size, prepare, taps)
        parity_check(network, backbone.weights)(contents)
    return OpenedPatch(
        contents=contents,
        prepare=prepare,
        backbone=backbone,
        preprocessing=preprocessing,
        network=network,
    )


def examples_of(size: int) -> int:
    """How many images of `size` pixels a side are answered at once.

    A file chooses the size, and must not choose how much memory that takes.

    >>> [examples_of(size) for size in (64, 224, 225, 1024)]
    [64, 64, 32, 2]
    """
    count = EXAMPLES
    while count > 1 and count * size**2 > EXAMPLES * _LARGE**2:
        count //= 2
    return count
