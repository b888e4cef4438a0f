"""The parity vector: an image that every machine can make, and the logits it must give."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters.store.errors import ParityError

_BLOCK = hashlib.sha256().digest_size


def seeded_image(seed: int, shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """A noise image `shape` = `[H, W, C]`, as a network's normalised input, from `seed` alone.

    The bytes are sha256 in counter mode: block i is the digest of the ASCII text
    `modelpatch parity SEED i`. A byte k becomes (k - 127.5) / 128: exact in float32 and strictly
    between -1 and 1. So any language gives the same bits, whatever its random numbers.
    """
    size = math.prod(shape)
    blocks = (
        hashlib.sha256(f"modelpatch parity {seed} {index}".encode("ascii")).digest()
        for index in range(-(-size // _BLOCK))
    )
    stream = np.frombuffer(b"".join(blocks), np.uint8, count=size).astype(np.float32)
    return ((stream - np.float32(127.5)) / np.float32(128)).reshape(shape)


def check_logits(
    expected: Sequence[float], got: Sequence[float] | npt.NDArray[np.floating], tolerance: float
) -> None:
    """Raises ParityError unless `got` `[classes]` is `expected` to within `tolerance`, absolute."""
    want, have = np.asarray(expected, np.float64), np.asarray(got, np.float64)
    if want.shape != have.shape:
        raise ParityError(f"{want.shape} logits are expected, {have.shape} were computed")
    difference = np.abs(want - have)
    # NaN is no difference that a comparison would catch: ask for what is right.
    if not (difference <= tolerance).all():
        raise ParityError(
            f"logits differ by up to {difference.max():.3g}, {tolerance:.3g} is allowed"
        )
