"""What a patch must show on this machine before it answers anybody."""

import functools
from collections.abc import Callable

from adapters.backbones.builder import Backbone
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference, Weights, inference, parity_check
from adapters.inference.first_look import without_look
from adapters.inference.maps import check_maps
from adapters.patches.contract import Prepare
from adapters.runtime.preprocessing_check import Pixels, check_preprocessing
from adapters.store.contents import PatchContents


def self_test(
    backbone: Backbone,
    weights: Weights,
    mean: Pixels,
    std: Pixels,
    look: Callable[[PatchContents], Prepare] = without_look,
) -> Callable[[PatchContents], None]:
    """A check for `read_patch` and the store: preprocessing first, then parity of logits.

    Args:
      backbone: the network.
      weights: its own, `{module: {leaf: array}}`.
      mean: of RGB pixels in 0..255, that the backbone was trained with.
      std: likewise.
      look: the patch's first look at an image: `first_look`, or an error where none can be taken.

    The check raises LooksFirstError, PreprocessingMismatchError or ParityError. A network
    is compiled for the first patch of each size.
    """

    @functools.cache
    def network(size: int, prepare: Prepare, taps: tuple[str, ...]) -> Inference:
        return inference(backbone, 1, size, prepare, taps)

    def check(contents: PatchContents) -> None:
        prepare = look(contents)
        preprocessing = check_preprocessing(contents, mean, std)
        check_maps(contents, backbone.table)
        taps = head_of(contents).taps
        parity_check(network(preprocessing.size, prepare, taps), weights)(contents)

    return check
