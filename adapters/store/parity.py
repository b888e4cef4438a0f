"""The parity vector: an image that every machine can make, and the logits it must give."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.store import canonical_json
from adapters.store.errors import ParityError

UNBOUND_SEED = 0  # of every patch that was made before `seed_of`
_BLOCK = hashlib.sha256().digest_size


def seed_of(preprocessing: Mapping[str, Any]) -> int:
    """The seed of the parity image of a patch with this preprocessing: so the two are bound.

    Parity says nothing of preprocessing, since its image is a network's input already. But whoever
    changes any field of it needs another image, and so has to make the logits again. It is the
    first 53 bits of the sha256 of the canonical JSON, as it stands in the patch's card.
    """
    digest = hashlib.sha256(canonical_json.encode(preprocessing)).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def seeded_image(seed: int, shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """A noise image `shape` = `[H, W, C]`, as a network's normalised input, from `seed` alone.

    The bytes are sha256 in counter mode: block i is the digest of the ASCII text
    `modelpatch parity SEED i`. A byte k becomes (k - 127.5) / 128: exact in float32 and strictly
    between -1 and 1. So any language gives the same bits, whatever its random numbers.
    """
    return _noise(str(seed), shape)


def seeded_input(seed: int, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The same for an input beside the image: blocks of `modelpatch parity SEED NAME i`."""
    return _noise(f"{seed} {name}", shape)


def _noise(text: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    size = math.prod(shape)
    blocks = (
        hashlib.sha256(f"modelpatch parity {text} {index}".encode("ascii")).digest()
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
