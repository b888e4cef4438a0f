"""The Visual Domain Decathlon: ten classification tasks of very different looks.

Licence: each of the ten data sets has its own; see its home page before using it.
Sizes: a short side of 72 pixels; test images of imagenet12 48,238, aircraft 3,333, cifar100 10,000,
  daimlerpedcls 19,600, dtd 1,880, gtsrb 12,630, vgg-flowers 6,149, omniglot 8,115, svhn 26,032,
  ucf101 3,783. Test labels are hidden (-1): validation is reported, and test
  predictions are written.
Command: launch/train --tasks=decathlon_dtd --data_dir=DIR, the data prepared there before:
  tfds build visual_domain_decathlon/dtd --file_format=array_record --data_dir=DIR
Expected: see `expected` below: from what a frozen ResNet-26 to what the best published network of
  its size scores on test at 72 pixels. Not measured here: the images are behind a download.
Reference: Rebuffi, Bilen, Vedaldi, "Learning multiple visual domains with residual adapters", 2017,
  arXiv:1705.08045. No image is mirrored in gtsrb, omniglot and svhn.
"""

import dataclasses
import pathlib
from typing import NamedTuple

from tasks import pixels, records, registry
from tasks.augmentation import Augmentation
from tasks.digest import Contents
from tasks.records import DataNotPreparedError, default_data_dir
from tasks.task import ImageFileExamples, Task

VERSION = "1.2.0"  # of TFDS's visual_domain_decathlon


class Domain(NamedTuple):
    """One of the ten: its number of classes, and the published accuracies that frame `expected`."""

    classes: int
    frozen: float
    best: float


DOMAINS = {
    "aircraft": Domain(100, 0.2331, 0.7717),
    "cifar100": Domain(100, 0.6311, 0.8469),
    "daimlerpedcls": Domain(2, 0.8033, 0.9875),
    "dtd": Domain(47, 0.4537, 0.6128),
    "gtsrb": Domain(43, 0.6816, 0.9952),
    "imagenet12": Domain(1000, 0.5967, 0.6700),
    "omniglot": Domain(1623, 0.5879, 0.9040),
    "svhn": Domain(10, 0.4354, 0.9724),
    "ucf101": Domain(101, 0.2680, 0.5250),
    "vgg-flowers": Domain(102, 0.7369, 0.8728),
}
NEVER_MIRRORED = frozenset({"gtsrb", "omniglot", "svhn"})


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A source that was prepared with TFDS, as array_record files.

    builder: its name there, such as "visual_domain_decathlon/dtd".
    """

    builder: str

    def open(self, task: Task, split: str, data_dir: str | None) -> ImageFileExamples:
        """Opens a split. Raises DataNotPreparedError saying how to prepare it."""
        return records.open_records(self._directory(task, data_dir), split, task)

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> ImageFileExamples:
        """Opens a split for a network whose images have this side; raises as `open`."""
        short_side = pixels.short_side_for(size)
        return records.open_records(self._directory(task, data_dir), split, task, short_side)

    def contents(self, task: Task, split: str, data_dir: str | None) -> Contents:
        """What a split holds, by its files; raises as `open` does."""
        return records.contents(self._directory(task, data_dir), split)

    def _directory(self, task: Task, data_dir: str | None) -> pathlib.Path:
        base = pathlib.Path(data_dir or default_data_dir()).expanduser()
        directory = base / self.builder / task.version
        if not (directory / "dataset_info.json").is_file():
            raise DataNotPreparedError(self.builder, directory, base)
        return directory


for _name, _domain in DOMAINS.items():
    registry.register(
        Task(
            name=f"decathlon_{_name}",
            source=Prepared(f"visual_domain_decathlon/{_name}"),
            # TFDS gives the classes numbers only.
            labels=tuple(map(str, range(_domain.classes))),
            description=__doc__,
            expected=(_domain.frozen, _domain.best),
            version=VERSION,
            fit="crop",
            augmentation=Augmentation(flip=_name not in NEVER_MIRRORED),
            hidden_test_labels=True,
        )
    )
