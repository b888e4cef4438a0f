"""Batches of images: an endless, resumable stream to train on, one ordered pass to measure.

Pixels leave here as uint8 `[examples, size, size, 3]`; `adapters.preprocessing.normalise`, or the
same two numbers inside a jitted step, makes them the network's input.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from absl import flags
from PIL import Image

from adapters.preprocessing import Preprocessing, prepare
from tasks import loading
from tasks.augmentation import POLICIES, Augmentation, random_view, recoloured
from tasks.task import Task
from tasks.trivial_augment import one_operation

READ_THREADS = 2
READ_AHEAD = 4  # batches


class TrainingIterator(Protocol):
    """Endless batches; a new iterator given this one's state, a JSON value, goes on as it would."""

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]: ...

    def __next__(self) -> Mapping[str, np.ndarray]: ...

    def get_state(self) -> dict[str, Any]: ...

    def set_state(self, state: dict[str, Any]) -> None: ...


def training_iterator(
    task: Task,
    preprocessing: Preprocessing,
    examples: int,
    seed: int,
    *,
    workers: int = 0,
    split: str = "train",
    data_dir: str | None = None,
    augmentation: str = "task",
    shard_index: int = 0,
    shard_count: int = 1,
) -> TrainingIterator:
    """Returns endless batches `{"image": uint8 [examples, S, S, 3], "label": int32 [examples]}`.

    Every epoch has its own order and augmentation, both decided by `seed` alone: the same call
    gives the same batches, with any number of `workers` (processes that decode; 0 decodes in
    threads). Batches run on over the end of an epoch, so that a split smaller than a batch works
    too. Of several hosts, number `shard_index` of `shard_count` sees its own part of every epoch.

    `augmentation` is one of `tasks.augmentation.POLICIES`. The state of an iterator belongs to one
    number of workers.
    """
    # Grain takes a second to import, and not every command needs it.
    import grain

    source = loading.open_split(task, split, data_dir)
    dataset = (
        grain.MapDataset.source(source)
        .shuffle(seed=seed)[shard_index::shard_count]
        .repeat(None)
        .random_map(_Prepare(POLICIES[augmentation](task.augmentation), preprocessing), seed=seed)
        .batch(examples, drop_remainder=True)
        .to_iter_dataset(grain.ReadOptions(READ_THREADS, READ_AHEAD))
    )
    if workers:
        # Worker processes ask for Grain's flags; a program without flags never parsed any.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=READ_AHEAD)
        )
    return iter(dataset)


def evaluation_batches(
    task: Task,
    split: str,
    preprocessing: Preprocessing,
    examples: int,
    *,
    data_dir: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields a split once, in its order, in batches of one shape.

    A batch is `{"image": uint8 [examples, S, S, 3], "label": int32 [examples], "mask": bool
    [examples], "name": list of str}`. Rows of the last batch beyond the split are zero, with mask
    False and name "". Label -1 means hidden.
    """
    source = loading.open_split(task, split, data_dir)
    for start in range(0, len(source), examples):
        found = [source[index] for index in range(start, min(start + examples, len(source)))]
        batch = _empty_batch(examples, preprocessing.size)
        for row, example in enumerate(found):
            batch["image"][row] = prepare(Image.fromarray(example["image"]), preprocessing)
        batch["label"][: len(found)] = [example["label"] for example in found]
        batch["mask"][: len(found)] = True
        batch["name"][: len(found)] = [example["name"] for example in found]
        yield batch


def training_pixels(
    image: np.ndarray,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns one random view of pixels `[H, W, 3]`, as uint8 `[size, size, 3]`."""
    whole = Image.fromarray(image)
    view = random_view(whole.width, whole.height, augmentation, rng)
    pixels = recoloured(prepare(whole, preprocessing, view.box), augmentation, rng)
    if augmentation.operation:
        pixels = one_operation(pixels, rng)
    return pixels[:, ::-1] if view.mirrored else pixels


class _Prepare:
    """What happens to one training example; a class, so that worker processes can be sent it."""

    def __init__(self, augmentation: Augmentation, preprocessing: Preprocessing):
        self._augmentation, self._preprocessing = augmentation, preprocessing

    def __call__(self, example: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        pixels = training_pixels(example["image"], self._augmentation, self._preprocessing, rng)
        return {"image": pixels, "label": np.int32(example["label"])}


def _empty_batch(examples: int, size: int) -> dict[str, Any]:
    return {
        "image": np.zeros((examples, size, size, 3), np.uint8),
        "label": np.zeros(examples, np.int32),
        "mask": np.zeros(examples, bool),
        "name": [""] * examples,
    }
