"""A data set of TensorFlow Datasets that was prepared: any that gives an image one class.

Licence: that of the data set; see its home page before using it.
Sizes: the splits that it has. Without one for validation, some of what trains is held out, and a
  single split is cut into three.
Command: launch/train --tasks=tfds:NAME --data_dir=DIR, the data prepared there before:
  tfds build NAME --file_format=array_record --data_dir=DIR
Expected: nothing is known about the images.
"""

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from tasks import pixels, records
from tasks.cutting import UNCHANGED, Cut
from tasks.digest import DIGITS, Contents
from tasks.parts import Part, parts
from tasks.records import DataNotPreparedError, default_data_dir
from tasks.task import ImageFileExamples, Task, TaskError

KIND = "tfds"
COLUMNS = ("image", "label")
_INFO = "dataset_info.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NAMES = ("file_name", "name", "filename", "image/filename", "image_id", "id")


def tfds_task(
    place: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] | None = None,
    data_dir: str | None = None,
) -> Task:
    """Returns the task of a data set: by its TFDS name, or by its folder.

    Args:
      place: `NAME`, `NAME/CONFIG`, each perhaps with `/VERSION`, below `data_dir`; or a path.
      name: of the task; by default that of the data set.
      cut: how splits that it lacks are cut.
      columns: what its features `image` and `label` are called, where there are several.
      data_dir: where data was prepared (default: TFDS's own folder).

    Raises DataNotPreparedError, UnreadableFolderError, SplitsError, or TaskError for a data set
    that does not give an image one class.
    """
    directory = _directory(place, data_dir)
    info = records.information(directory)
    image, label = _features(info.features, columns or {}, directory)
    texts = [each for each in _NAMES if each in info.features]
    found = parts(list(info.splits), cut, str(directory))
    source = PreparedSet(
        str(directory), (texts[0] if texts else None, image, label), tuple(found.items())
    )
    task = Task(
        name=name or re.sub(r"\W", "_", info.full_name.rpartition("/")[0]),
        source=source,
        labels=tuple(info.features[label].names),
        description=__doc__,
        expected=(0.0, 1.0),
        version=str(info.version),
        splits=tuple(found),
        fit="crop",
    )
    hidden = "test" in found and source.open(task, "test", None).known(0)["label"] < 0
    return dataclasses.replace(task, hidden_test_labels=hidden)


@dataclasses.dataclass(frozen=True)
class PreparedSet:
    """A source that reads a folder of TFDS.

    Attributes:
      directory: of its array_record files.
      features: what its names (None: it has none), images and labels are called.
      parts: where each split lies.
    """

    directory: str
    features: tuple[str | None, str, str]
    parts: tuple[tuple[str, Part], ...]

    def open(self, task: Task, split: str, data_dir: str | None) -> ImageFileExamples:
        """Opens a split. Raises DamagedDataError."""
        del data_dir
        return self._opened(task, split, None)

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> ImageFileExamples:
        """Opens a split for a network whose images have this side; raises as `open`."""
        del data_dir
        return self._opened(task, split, pixels.short_side_for(size))

    def contents(self, task: Task, split: str, data_dir: str | None) -> Contents:
        """What a split holds, by its files and how they are cut."""
        del task, data_dir
        part = dict(self.parts)[split]
        held = records.contents(pathlib.Path(self.directory), part.given)
        if part.cut is None:
            return held
        members = part.members(held.images)
        own = repr((held.digest, split, tuple(part.cut))).encode()
        return Contents(len(members), hashlib.sha256(own).hexdigest()[:DIGITS])

    def _opened(self, task: Task, split: str, short_side: int | None) -> ImageFileExamples:
        directory, part = pathlib.Path(self.directory), dict(self.parts)[split]
        encoded = records.encoded(directory, part.given, self.features[1])
        rows = _Rows(encoded, part.members(len(encoded)), self.features, part.given)
        return records.decoded(rows, f"{split} in {directory}", task, short_side)


class _Rows:
    """Records under the names that `records.decoded` knows."""

    def __init__(
        self, encoded: Any, members: Any, features: tuple[str | None, str, str], split: str
    ):
        self._encoded, self._members = encoded, members
        self._features, self._split = features, split

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        name, image, label = self._features
        place = int(self._members[index])
        record = self._encoded[place]
        known = f"{self._split}/{place:06d}" if name is None else record[name]
        if not isinstance(known, bytes):
            known = str(known).encode()
        return {"name": known, "image": record[image], "label": record[label]}


def _directory(place: str, data_dir: str | None) -> pathlib.Path:
    path = pathlib.Path(place).expanduser()
    base = pathlib.Path(data_dir or default_data_dir()).expanduser()
    for folder in (path, base / place):
        if (folder / _INFO).is_file():
            return folder.resolve()
        versions = [each.parent for each in folder.glob(f"*/{_INFO}")]
        numbered = [each for each in versions if _VERSION.fullmatch(each.name)]
        if numbered:
            newest = max(numbered, key=lambda each: tuple(map(int, each.name.split("."))))
            return newest.resolve()
    configs = sorted({each.parent.parent.name for each in (base / place).glob(f"*/*/{_INFO}")})
    hint = f" Of {place} there are {', '.join(f'{place}/{each}' for each in configs)}."
    raise DataNotPreparedError(place, base / place, base, hint if configs else "")


def _features(
    features: Mapping[str, Any], columns: Mapping[str, str], directory: pathlib.Path
) -> tuple[str, str]:
    """What the images and the labels are called."""
    import tensorflow_datasets as tfds

    kinds = {"image": tfds.features.Image, "label": tfds.features.ClassLabel}
    found = []
    for role, kind in kinds.items():
        fit = [each for each, feature in features.items() if isinstance(feature, kind)]
        wanted = columns.get(role, role if role in fit or len(fit) != 1 else fit[0])
        if wanted not in fit:
            raise TaskError(
                f"{directory} has no feature {wanted!r} that is {kind.__name__}; of that kind are: "
                f"{', '.join(fit) or 'none'}. A task needs an image and one class of it: say which "
                f"in `{role}`."
            )
        found.append(wanted)
    return found[0], found[1]
