"""What a run computes once, as it is the same in every epoch.

That is each image, decoded and resized, where nothing augments it; and, where a patch leaves the
first blocks of a frozen network as they are, what those make of it.
"""

import os
from collections.abc import Sequence

import jax
import numpy as np
from absl import logging

from adapters.experiment.settings import Settings
from adapters.mapped_array import mapped_array
from adapters.patches.contract import Weights
from adapters.training import cluster
from adapters.training.prefix import Prefix
from adapters.training.reading import Arrays, in_order
from adapters.training.step import normalised
from tasks import pipeline
from tasks.kept import Empty, Prepared, Rows, remembered
from tasks.task import Task

MEMORY = 2**30  # bytes of all tasks together: what is more lies in a file
MOST = 16 * 2**30  # bytes: what is more is not kept


def come_again(settings: Settings, tasks: Sequence[Task], sizes: Sequence[int]) -> bool:
    """Whether a run sees its training images more than once, and as they were.

    Of several processes none does: each would keep all images, of which it trains a part.
    """
    return (
        settings.cache
        and settings.recipe.steps * settings.groups * settings.examples > sum(sizes)
        and not any(pipeline.varies(task, settings.augmentation) for task in tasks)
        and cluster.current().count == 1
    )


def may_begin_later(settings: Settings, tasks: Sequence[Task]) -> bool:
    """Whether a run's training may begin behind an untouched part of the network.

    Not where norms measure or calibrate, where a teacher has to see the images, in `bfloat16`, in
    which what is kept would be rounded twice, nor where tasks have images of several sizes.
    """
    recipe = settings.recipe
    return (
        recipe.norm == "frozen"
        and recipe.precision == "float32"
        and settings.teacher is None
        and len({*settings.sizes(tasks)}) == 1
    )


def is_small(prefix: Prefix, images: int) -> bool:
    """Whether what is kept of an image is no larger than what the network takes of it."""
    return prefix.values <= 3 * prefix.size**2 and _bytes(prefix, images) <= MOST


def examples(prepared: Sequence[Prepared], folder: str | os.PathLike[str]) -> list[Rows] | None:
    """Of each task its training examples, made ready once; None where they are too large."""
    size = sum(each.count * each.size for each in prepared)
    if size > MOST:
        return None
    count = sum(each.count for each in prepared)
    logging.info("%s are decoded once, %s", f"{count:,} images", _megabytes(size))
    return [remembered(each, _empty(size, folder)) for each in prepared]


def maps(
    prepared: Sequence[Prepared],
    prefix: Prefix,
    blocks: int,
    weights: Weights,
    pixels: tuple[tuple[float, ...], tuple[float, ...]],
    at_once: int,
    folder: str | os.PathLike[str],
) -> list[Rows]:
    """Of each task its training examples, with what `prefix` makes of their images in their place.

    Args:
      prepared: the examples.
      prefix: of the network.
      blocks: how many the whole network has.
      weights: shared, on the device.
      pixels: (mean, std) of pixels in 0..255.
      at_once: images that are computed together. As many as in a step come out as there.
      folder: for a file without a name, where memory is not for so much.
    """
    count = sum(each.count for each in prepared)
    size = _bytes(prefix, count)
    done = len(prefix.blocks)
    logging.info(
        "%s computed once for %s images, %s",
        f"all {blocks} blocks are"
        if done == blocks
        else f"the first {done} of {blocks} blocks are",
        *(f"{count:,}", _megabytes(size)),
    )

    @jax.jit
    def made(weights: Weights, images: jax.Array) -> jax.Array:
        return jax.vmap(prefix.apply, (None, 0))(weights, normalised(images, *pixels))

    def rows(own: Prepared) -> Rows:
        columns = {"image": _empty(size, folder)((own.count, prefix.values), np.dtype(np.float32))}
        for start, part in zip(
            range(0, own.count, at_once), in_order(_Parts(own, at_once)), strict=False
        ):
            found = {**part, "image": np.asarray(made(weights, part["image"]))}
            for name, values in found.items():
                shape = (own.count, *values.shape[1:])
                column = columns.setdefault(name, np.zeros(shape, values.dtype))
                column[start : start + at_once] = values[: own.count - start]
        return lambda wanted: {name: column[wanted] for name, column in columns.items()}

    return [rows(own) for own in prepared]


class _Parts:
    """All examples in order, as batches of one size, over and over."""

    def __init__(self, prepared: Prepared, examples: int):
        self._prepared, self._examples = prepared, examples

    def __getitem__(self, number: int) -> Arrays:
        start = number * self._examples
        return self._prepared(np.arange(start, start + self._examples) % self._prepared.count)


def _bytes(prefix: Prefix, images: int) -> int:
    return images * prefix.values * np.dtype(np.float32).itemsize


def _megabytes(size: int) -> str:
    where = "in memory" if size <= MEMORY else "in a file"
    return f"{size / 1e6:,.0f} MB {where}"


def _empty(size: int, folder: str | os.PathLike[str]) -> Empty:
    """Makes arrays for what is of this size altogether, in bytes."""
    return np.zeros if size <= MEMORY else lambda shape, dtype: mapped_array(shape, dtype, folder)
