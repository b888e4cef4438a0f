"""What a patch must show on this machine before it answers anybody."""

import functools
from collections.abc import Callable

from adapters.backbones.builder import Backbone
from adapters.device.inference import Inference, Weights, inference, parity_check
from adapters.device.preprocessing_check import Pixels, check_preprocessing
from adapters.store.contents import PatchContents, check_without_look


def self_test(
    backbone: Backbone, weights: Weights, mean: Pixels, std: Pixels
) -> Callable[[PatchContents], None]:
    """A check for `read_patch` and the store: preprocessing first, then parity of logits.

    Args:
      backbone: the network.
      weights: its own, `{module: {leaf: array}}`.
      mean: of RGB pixels in 0..255, that the backbone was trained with.
      std: likewise.

    The check raises UnsupportedFeatureError, PreprocessingMismatchError or ParityError. A network
    is compiled for the first patch of each size.
    """

    @functools.cache
    def network(size: int) -> Inference:
        return inference(backbone, 1, size)

    def check(contents: PatchContents) -> None:
        check_without_look(contents)
        preprocessing = check_preprocessing(contents, mean, std)
        parity_check(network(preprocessing.size), weights)(contents)

    return check
