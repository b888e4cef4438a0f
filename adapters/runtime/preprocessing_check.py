"""Whether a patch makes of an image what its backbone, and its own parity image, take."""

from adapters.preprocessing import Preprocessing, PreprocessingError
from adapters.store import parity
from adapters.store.contents import PatchContents
from adapters.store.errors import PreprocessingMismatchError

# Far above any MobileNet's; a hostile file must not make its parity image fill the memory.
LARGEST_SIZE = 1024

Pixels = tuple[float, float, float]


def check_preprocessing(contents: PatchContents, mean: Pixels, std: Pixels) -> Preprocessing:
    """How the patch's images are made; to be asked before its parity image is.

    Where the patch binds its parity image to its preprocessing (`parity.seed_of`; files made before
    that have the seed 0), a change of any field is found, by any amount.

    Args:
      contents: of the patch.
      mean: of RGB pixels in 0..255, that the backbone was trained with.
      std: likewise.

    Raises PreprocessingMismatchError.
    """
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
    seed = contents.parity.seed
    if seed not in (parity.UNBOUND_SEED, parity.seed_of(contents.preprocessing)):
        raise PreprocessingMismatchError(
            f"the parity image (seed {seed}) was made for another preprocessing than size "
            f"{stated.size}, fit {stated.fit!r} and background {stated.background}"
        )
    return stated
