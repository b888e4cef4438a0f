"""Stand-ins for data that tests cannot have, small and quick."""

import io
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tasks import decathlon, loading
from tasks.augmentation import Augmentation
from tasks.digest import Contents
from tasks.layout import Carried, Example
from tasks.task import Task

LABELS = ("dark", "bright")


def write_stand_in(data_dir: pathlib.Path, examples_per_split: int = 4) -> None:
    """Writes random JPEGs in the official layout of all ten decathlon domains.

    Labels count up from 0 in train and validation, and are -1 in test. Image sides differ.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.image_classification import visual_domain_decathlon

    for domain in decathlon.DOMAINS:
        builder = visual_domain_decathlon.VisualDomainDecathlon(
            config=domain, data_dir=data_dir, file_format="array_record"
        )
        pathlib.Path(builder.data_dir).mkdir(parents=True)
        writer = tfds.core.SequentialWriter(
            builder.info, max_examples_per_shard=100, file_format="array_record"
        )
        writer.initialize_splits(["train", "validation", "test"])
        for split in ("train", "validation", "test"):
            writer.add_examples({split: _photographs(domain, split, examples_per_split)})
        writer.close_all()


def _photographs(domain: str, split: str, count: int) -> list[dict]:
    rng = np.random.default_rng(len(domain))
    photographs = []
    for number in range(count):
        file = io.BytesIO()
        pixels = rng.integers(0, 256, (72, 72 + 4 * number, 3), np.uint8)
        Image.fromarray(pixels).save(file, "jpeg")
        file.seek(0)
        label = -1 if split == "test" else number % decathlon.DOMAINS[domain].classes
        name = f"{domain}/{split}/{number}.jpg"
        photographs.append({"name": name, "image": file, "label": label})
    return photographs


def tiny_task(name: str = "tiny", images: int = 10, **settings) -> Task:
    """A task of flat grey images, 8x6 pixels, whose grey value tells each from all others.

    It has `images` to train, 3 to validate and 2 to test; odd ones are bright.
    """

    def examples() -> Iterator[Example]:
        for split, count in {"train": images, "validation": 3, "test": 2}.items():
            for number in range(count):
                grey = (10 if split == "train" else 50) + number + 100 * (number % 2)
                image = Image.new("RGB", (8, 6), (grey, grey, grey))
                yield Example(split, f"{split}-{number:03d}", image, number % 2)

    known = {
        "source": Carried(examples),
        "labels": LABELS,
        "description": "Flat grey images.",
        "expected": (1.0, 1.0),
        "augmentation": Augmentation((1, 1), (1, 1)),
    }
    return Task(name=name, **(known | settings))


def every_split(task: Task, data_dir: str | None = None) -> dict[str, Contents]:
    """What each split holds."""
    return {split: loading.contents(task, split, data_dir) for split in task.splits}
