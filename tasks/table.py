"""A user's own images: a table of them, with the label of each and perhaps its split.

Licence: the user's.
Sizes: those of the table, a CSV file with the columns `path` (relative to the table) and `label`,
  and perhaps `split`: train, validation or test. Without splits, 70 % of each class train, 15 %
  validate and 15 % test. Of images with the same pixels one is used; those that look alike stay on
  one side. docs/folders.md has the rules.
Command: launch/train --tasks=csv:FILE
Expected: nothing is known about the images.
"""

import csv
import dataclasses
import functools
import pathlib
import unicodedata

from adapters import image_kinds
from tasks.cutting import SPLITS
from tasks.folder import Folder
from tasks.inventory import count
from tasks.listing import SPLIT_FOLDERS, FolderError, ListedImage, Listing, shown
from tasks.sorting import Sorter
from tasks.task import Task

PREFIX = "csv:"


def table_task(path: str) -> Task:
    """Returns the task of the table `path`, named after it.

    Raises FolderError.
    """
    table = pathlib.Path(path).expanduser()
    if not table.is_file():
        raise FolderError(f"there is no table {path!r}; write {PREFIX}FILE, with a CSV file.")
    table = table.resolve()
    listing = list_table(table)
    if len(listing.labels()) < 2:
        raise FolderError(
            f"{table} has {count(len(listing.labels()), 'class')} of images that are there; two or "
            "more are needed."
        )
    return Task(
        name=table.stem,
        source=Table(str(table)),
        labels=tuple(listing.labels()),
        description=__doc__,
        expected=(0.0, 1.0),
        splits=listing.splits or SPLITS,
        fit="crop",
    )


@dataclasses.dataclass(frozen=True)
class Table(Folder):
    """A source that reads the image files that a table names."""

    @functools.cached_property
    def _sorter(self) -> Sorter:
        table = pathlib.Path(self.path)
        return Sorter(table.parent, lambda _: list_table(table))


def list_table(table: pathlib.Path) -> Listing:
    """What a table names, in its order.

    Raises FolderError for a table that cannot be read, lacks a column, has a row without a label or
    with another split than `SPLIT_FOLDERS` knows, or gives splits of which none trains.
    """
    images: list[ListedImage] = []
    left_out: list[tuple[str, str]] = []
    for number, row in enumerate(_rows(table), start=2):
        name, label = row["path"], unicodedata.normalize("NFC", row["label"])
        split = SPLIT_FOLDERS.get(row["split"].casefold()) if row["split"] else None
        if not label or (row["split"] and split is None):
            what = f"the split {row['split']!r}" if label else "no label"
            raise FolderError(
                f"{table}, line {number}: {name} has {what}; every image has a label, and a split "
                f"is {', '.join(SPLITS)} or empty."
            )
        path = table.parent / name
        try:
            state = path.stat()
        except OSError as error:
            left_out.append((f"it cannot be opened: {error.strerror}", name))
            continue
        if path.suffix.lower() not in image_kinds.read_endings():
            left_out.append(("no image of a kind that is read", name))
            continue
        same = state.st_size, state.st_mtime_ns, state.st_ino
        images.append(ListedImage(path, shown(path, table.parent), split, label, same))
    given = {image.split for image in images}
    splits = tuple(split for split in SPLITS if split in given)
    if splits and (None in given or not {"train", "validation"} <= given):
        said = [*splits, *(["none"] if None in given else [])]
        raise FolderError(
            f"{table} gives the splits {', '.join(said)}: give every image one, train and "
            "validation among them, or leave the column out."
        )
    return Listing(splits, tuple(images), tuple(left_out), ())


def _rows(table: pathlib.Path) -> list[dict[str, str]]:
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or ()
            for wanted in ("path", "label"):
                if wanted not in columns:
                    raise FolderError(
                        f"{table} has the columns {', '.join(columns) or 'none'}; it needs path "
                        "and label, and may have split."
                    )
            return [
                {name: (row.get(name) or "").strip() for name in ("path", "label", "split")}
                for row in rows
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FolderError(f"{table} cannot be read as CSV: {error}.") from error
