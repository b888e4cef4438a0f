"""A teacher asked once of every training image, where they come again unchanged."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from adapters.training.loop import Teacher
from adapters.training.reading import Batches, in_order


def remembered(teacher: Teacher, batches: Sequence[Batches], sizes: Sequence[int]) -> Teacher:
    """What `teacher` says of every training image, told again in the run.

    All are asked before the run, in one order, so that a run that is resumed learns from the same
    numbers to the bit.

    Args:
      teacher: whose answers are kept, one row of numbers an image.
      batches: of each task.
      sizes: how many images each has. The first batches have all of them once.
    """
    known: Mapping[int, dict[bytes, np.ndarray]] = {task: {} for task in range(len(batches))}
    for task, (own, size) in enumerate(zip(batches, sizes, strict=True)):
        seen = 0
        for batch in in_order(own):
            images = batch["image"]
            known[task].update(zip(map(_key, images), teacher(task, images), strict=True))
            seen += len(images)
            if seen >= size:
                break

    def tell(task: int, images: np.ndarray) -> np.ndarray:
        return np.stack([known[task][_key(image)] for image in images])

    return tell


def _key(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
