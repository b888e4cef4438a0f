"""The training images of a run: decoded for each step, or made ready once where nothing varies."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Sequence

import jax

from adapters.experiment import computed_once
from adapters.experiment.backbones import Loaded
from adapters.experiment.settings import Settings
from adapters.patches.contract import Weights
from adapters.preprocessing import Preprocessing
from adapters.training.prefix import Prefix
from adapters.training.reading import Batches
from tasks import pipeline
from tasks.kept import KeptBatches, Prepared, Rows
from tasks.task import Task


@dataclasses.dataclass(frozen=True)
class TrainingImages:
    """Every task's training images, as a run's steps take them.

    Attributes:
      tasks, settings: of the run.
      preprocessing: of each task's images.
      sizes: how many each task has.
      inputs: names of those that the patch reads beside the image.
      backbone: of the run.
      weights: shared, on the device.
      begun: the part of the network whose maps stand in the images' place, if there is one.
      folder: for a file without a name, where memory is not for so much.
    """

    tasks: Sequence[Task]
    settings: Settings
    preprocessing: Sequence[Preprocessing]
    sizes: Sequence[int]
    inputs: Sequence[str]
    backbone: Loaded
    weights: Weights
    begun: Prefix | None
    folder: str | os.PathLike[str]

    def batches(self, *purpose: str, part: int = 0, parts: int = 1) -> list[Batches]:
        """Of every task, its images, or one of `parts` of them, for a purpose: training, if none.

        A purpose has an order of its own.
        """
        settings = self.settings
        seeds = [_seed(settings.seed, task.name, *purpose) for task in self.tasks]
        if self.kept:
            return [
                KeptBatches(rows, size, settings.examples, seed, part, parts)
                for rows, size, seed in zip(self.kept, self.sizes, seeds, strict=True)
            ]
        return [
            pipeline.training_batches(
                task,
                preprocessing,
                settings.examples,
                seed,
                augmentation=settings.augmentation,
                data_dir=settings.data_dir,
                inputs=self.inputs,
                shard_index=part,
                shard_count=parts,
            )
            for task, preprocessing, seed in zip(self.tasks, self.preprocessing, seeds, strict=True)
        ]

    @functools.cached_property
    def kept(self) -> list[Rows] | None:
        """What is kept of every task's examples, if anything is."""
        settings, begun = self.settings, self.begun
        again = computed_once.come_again(settings, self.tasks, self.sizes)
        if not again or (settings.workers and begun is None):
            return None
        prepared = [
            Prepared(*(task, preprocessing), data_dir=settings.data_dir, inputs=self.inputs)
            for task, preprocessing in zip(self.tasks, self.preprocessing, strict=True)
        ]
        if begun is None:
            return computed_once.examples(prepared, self.folder)
        checkpoint = self.backbone.checkpoint
        return computed_once.maps(
            prepared,
            begun,
            len(self.backbone.network.table.all_rows()),
            self.weights,
            (checkpoint.mean, checkpoint.std),
            settings.groups * settings.examples // jax.device_count(),
            self.folder,
        )


def _seed(seed: int, *parts: str) -> int:
    """A task's own 32-bit seed, whatever tasks it trains beside."""
    text = " ".join([str(seed), *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
