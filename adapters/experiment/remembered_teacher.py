"""A teacher asked once of every training image, where they come again unchanged."""

import hashlib
from collections.abc import Sequence

import numpy as np

from adapters.training.assembling import Teacher
from adapters.training.reading import Arrays, Batches, in_order


def remembered(teacher: Teacher, batches: Sequence[Batches], sizes: Sequence[int]) -> Teacher:
    """What `teacher` says of every training image, told again in the run.

    All are asked before the run, in one order, so that a run that is resumed learns from the same
    numbers to the bit.

    Args:
      teacher: whose answers are kept, an array of each name an image.
      batches: of each task.
      sizes: how many images each has. The first batches have all of them once.
    """
    known: list[dict[bytes, dict[str, np.ndarray]]] = [{} for _ in batches]
    for task, (own, size) in enumerate(zip(batches, sizes, strict=True)):
        seen = 0
        for batch in in_order(own):
            images = batch["image"]
            said = teacher(task, images)
            for row, image in enumerate(images):
                known[task][_key(image)] = {name: each[row] for name, each in said.items()}
            seen += len(images)
            if seen >= size:
                break

    def tell(task: int, images: np.ndarray) -> Arrays:
        own = [known[task][_key(image)] for image in images]
        return {name: np.stack([each[name] for each in own]) for name in own[0]}

    return tell


def _key(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
