"""A data set of Hugging Face's hub, or one that `datasets` saved: images with one class each.

Licence: that of the data set; see its page before using it.
Sizes: the splits that it has. Without one for validation, some of what trains is held out, and a
  single split is cut into three.
Command: launch/train --tasks=hf:NAME, or hf:PATH of what `save_to_disk` wrote; with `datasets`
  installed.
Expected: nothing is known about the images.
"""

import dataclasses
import functools
import hashlib
import importlib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from adapters import errors
from tasks import pixels, records
from tasks.cutting import UNCHANGED, Cut
from tasks.digest import DIGITS, Contents
from tasks.parts import Part, parts
from tasks.task import ImageFileExamples, Task, TaskError

KIND = "hf"
COLUMNS = ("image", "label")


class DatasetsMissingError(errors.ModelPatchError):
    """The package `datasets` is not installed."""


class HubError(errors.ModelPatchError):
    """A data set that cannot be had, or not be read."""


def hub_task(
    place: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] | None = None,
) -> Task:
    """Returns the task of a data set: its name on the hub, perhaps `NAME@REVISION`, or its folder.

    Args:
      place: name or folder.
      name: of the task; by default the last part of the place.
      cut: how splits that it lacks are cut.
      columns: what its columns `image` and `label` are called, where there are several.

    Raises DatasetsMissingError, HubError, SplitsError, or TaskError for a data set that does not
    give an image one class.
    """
    path = pathlib.Path(place).expanduser()
    place = str(path.resolve()) if path.is_dir() else place
    given = loaded(place)
    features = next(iter(given.values())).features
    image, label = _columns(features, columns or {}, place)
    found = parts(list(given), cut, place)
    kind = features[label]
    labels = getattr(kind, "names", None) or sorted(
        {str(each) for own in given.values() for each in own.unique(label)}
    )
    own = re.sub(r"@.*", "", place).rstrip("/").rpartition("/")[2]
    return Task(
        name=name or own,
        source=HubSet(place, image, label, tuple(labels), tuple(found.items())),
        labels=tuple(labels),
        description=__doc__,
        expected=(0.0, 1.0),
        splits=tuple(found),
        fit="crop",
    )


@dataclasses.dataclass(frozen=True)
class HubSet:
    """A source that reads a data set of `datasets`.

    Attributes:
      place: name, perhaps with a revision, or folder.
      image: what the column of images is called.
      label: what that of labels is called.
      labels: what they are, in the order of their numbers.
      parts: where each split lies.
    """

    place: str
    image: str
    label: str
    labels: tuple[str, ...]
    parts: tuple[tuple[str, Part], ...]

    def open(self, task: Task, split: str, data_dir: str | None) -> ImageFileExamples:
        """Opens a split. Raises what `hub_task` raises."""
        del data_dir
        return records.decoded(self._rows(split), f"{split} of {self.place}", task, None)

    def open_for(
        self, size: int, task: Task, split: str, data_dir: str | None
    ) -> ImageFileExamples:
        """Opens a split for a network whose images have this side; raises as `open`."""
        del data_dir
        place, short_side = f"{split} of {self.place}", pixels.short_side_for(size)
        return records.decoded(self._rows(split), place, task, short_side)

    def contents(self, task: Task, split: str, data_dir: str | None) -> Contents:
        """What a split holds, by the bytes of its images; reads them all."""
        del task, data_dir
        rows, found = self._rows(split), hashlib.sha256()
        for index in range(len(rows)):
            row = rows[index]
            found.update(hashlib.sha256(row["image"]).digest() + f"{row['label']} ".encode())
        return Contents(len(rows), found.hexdigest()[:DIGITS])

    def _rows(self, split: str) -> "_Rows":
        part = dict(self.parts)[split]
        given = loaded(self.place)[part.given]
        # As files, so that they become pixels as everywhere else.
        encoded = given.cast_column(self.image, _datasets().Image(decode=False))
        return _Rows(encoded, part.members(len(encoded)), self, part.given)


class _Rows:
    """Rows under the names that `records.decoded` knows."""

    def __init__(self, encoded: Any, members: Sequence[int], source: HubSet, split: str):
        self._encoded, self._members = encoded, members
        self._source, self._split = source, split

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        place, own = int(self._members[index]), self._source
        row = self._encoded[place]
        file, label = row[own.image], row[own.label]
        data = file["bytes"]
        if data is None:
            data = pathlib.Path(file["path"]).read_bytes()
        if not isinstance(label, int):
            label = own.labels.index(str(label))
        name = os.path.basename(file["path"] or "") or f"{place:06d}"
        return {"name": f"{self._split}/{name}".encode(), "image": data, "label": label}


@functools.cache
def loaded(place: str) -> Mapping[str, Any]:
    """The splits of a data set; raises DatasetsMissingError or HubError."""
    datasets = _datasets()
    try:
        if pathlib.Path(place).is_dir():
            found = datasets.load_from_disk(place)
        else:
            name, _, revision = place.partition("@")
            found = datasets.load_dataset(name, revision=revision or None)
    except Exception as error:  # of many kinds and packages: no network, no such name, other files
        said = str(error).strip().splitlines() or [""]
        raise HubError(
            f"{KIND}:{place} cannot be loaded ({type(error).__name__}: {said[0]}). Give a name of "
            "the hub, which has to be reachable the first time, or a folder that `save_to_disk` "
            "wrote."
        ) from error
    return found if isinstance(found, dict) else {"train": found}


def _datasets() -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        raise DatasetsMissingError(
            f"{KIND}: needs the package `datasets`, which this installation lacks: "
            "pip install '.[hub]', or pip install datasets."
        ) from error


def _columns(features: Mapping[str, Any], columns: Mapping[str, str], place: str) -> list[str]:
    """What images and labels are called."""
    found = []
    for role, kinds in {"image": ("Image",), "label": ("ClassLabel", "Value")}.items():
        fit = [each for each, kind in features.items() if type(kind).__name__ in kinds[:1]]
        wanted = columns.get(role, role if role in features or len(fit) != 1 else fit[0])
        if type(features.get(wanted)).__name__ not in kinds:
            raise TaskError(
                f"{place} has no column {wanted!r} that holds an image's {role}; its columns are "
                f"{', '.join(features)}. Say which in `{role}`."
            )
        found.append(wanted)
    return found
