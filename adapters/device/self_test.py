"""What a patch must show on this machine before it answers anybody."""

import functools
from collections.abc import Callable

from adapters.backbones.builder import Backbone
from adapters.device.inference import Inference, Weights, inference, parity_check
from adapters.preprocessing import Preprocessing, PreprocessingError
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.errors import PreprocessingMismatchError

# Far above any MobileNet's; a hostile file must not make its parity image fill the memory.
LARGEST_SIZE = 1024

Pixels = tuple[float, float, float]


def self_test(
    backbone: Backbone, weights: Weights, mean: Pixels, std: Pixels
) -> Callable[[PatchContents], None]:
    """A check for `read_patch` and the store: preprocessing first, then parity of logits.

    Parity alone says nothing of preprocessing, since its image is a network's input already. So the
    patch must scale pixels as the backbone was trained with, and its parity image must be of the
    size that it scales images to. How it crops them, only a signature can vouch for.

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
        size = check_preprocessing(contents, mean, std)
        parity_check(network(size), weights)(contents)

    return check


def check_preprocessing(contents: PatchContents, mean: Pixels, std: Pixels) -> int:
    """The side of the patch's images in pixels; raises PreprocessingMismatchError."""
    try:
        stated = Preprocessing.from_json(contents.preprocessing)
    except PreprocessingError as error:
        raise PreprocessingMismatchError(str(error).rstrip(".")) from error
    if (stated.mean, stated.std) != (mean, std):
        raise PreprocessingMismatchError(
            f"the patch takes pixels as (x - {stated.mean}) / {stated.std}, the backbone was "
            f"trained with (x - {mean}) / {std}"
        )
    if contents.parity.shape != (stated.size, stated.size, 3):
        raise PreprocessingMismatchError(
            f"images are scaled to {stated.size} x {stated.size} x 3, but the parity image has "
            f"{' x '.join(map(str, contents.parity.shape))}"
        )
    if stated.size > LARGEST_SIZE:
        raise PreprocessingMismatchError(
            f"images are scaled to {stated.size} pixels a side, at most {LARGEST_SIZE} are allowed"
        )
    return stated.size
