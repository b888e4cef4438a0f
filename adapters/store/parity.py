"""Parity: an image that every machine can make, and the values that a network must give it."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.store import canonical_json
from adapters.store.errors import ParityError

UNBOUND_SEED = 0  # of every patch that was made before `seed_of`
MOST_VALUES = 1024  # that are stated of maps
# Another machine sums in another order: float32 over 50 layers keeps about 4 digits.
TOLERANCE = 2e-3
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
    stream = np.frombuffer(_stream(text, size), np.uint8, count=size).astype(np.float32)
    return ((stream - np.float32(127.5)) / np.float32(128)).reshape(shape)


def _stream(text: str, size: int) -> bytes:
    """At least `size` bytes."""
    return b"".join(
        hashlib.sha256(f"modelpatch parity {text} {index}".encode("ascii")).digest()
        for index in range(-(-size // _BLOCK))
    )


def values(predictions: Mapping[str, npt.NDArray[Any]], seed: int) -> npt.NDArray[Any]:
    """What a patch file states of the predictions {name: [...]} of its parity image: [N].

    All values of vectors, by the predictions' names. Of maps with more than `MOST_VALUES`, so many
    at `positions`: enough to find what differs, and a file stays small.
    """
    flat = np.concatenate([np.ravel(predictions[name]) for name in sorted(predictions)])
    vectors = all(np.ndim(each) == 1 for each in predictions.values())
    return flat if vectors or flat.size <= MOST_VALUES else flat[positions(seed, flat.size)]


def positions(seed: int, size: int) -> npt.NDArray[np.int64]:
    """`MOST_VALUES` places in a vector of `size`, from `seed` alone; one may come twice.

    Each eight bytes of the blocks `modelpatch parity SEED positions i`, a whole number with the
    highest byte first, modulo `size`.
    """
    stream = _stream(f"{seed} positions", 8 * MOST_VALUES)
    numbers = np.frombuffer(stream, ">u8", count=MOST_VALUES)
    return (numbers % np.uint64(size)).astype(np.int64)


def tolerance(logits: Sequence[float]) -> float:
    """The largest tolerance that a file may state for these values, and the one that is stated."""
    return TOLERANCE * max(1.0, max(map(abs, logits), default=0.0))


def check_logits(
    expected: Sequence[float], got: Sequence[float] | npt.NDArray[np.floating], tolerance: float
) -> None:
    """Raises ParityError unless `got` `[N]` is `expected` to within `tolerance`, absolute."""
    want, have = np.asarray(expected, np.float64), np.asarray(got, np.float64)
    if want.shape != have.shape:
        raise ParityError(f"{want.shape} logits are expected, {have.shape} were computed")
    difference = np.abs(want - have)
    # NaN is no difference that a comparison would catch: ask for what is right.
    if not (difference <= tolerance).all():
        raise ParityError(
            f"logits differ by up to {difference.max():.3g}, {tolerance:.3g} is allowed"
        )
