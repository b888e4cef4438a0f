"""A user's own images: a table of them, with the label of each and perhaps its split.

Licence: the user's.
Sizes: those of the table, a CSV file with the columns `path` (relative to the table) and `label`,
  and perhaps `split`: train, validation or test. Without splits, 70 % of each class train, 15 %
  validate and 15 % test, unless the task says otherwise. Of images with the same pixels one is
  used; those that look alike stay on one side. docs/folders.md has the rules.
Command: launch/train --tasks=csv:FILE
Expected: nothing is known about the images.
"""

import csv
import dataclasses
import functools
import pathlib
from collections.abc import Mapping

from tasks.cutting import UNCHANGED, Cut
from tasks.folder import Folder, task_of
from tasks.listing import FolderError, Listing
from tasks.rows import Row, listing_of
from tasks.sorting import Sorter
from tasks.task import Task

KIND = "csv"
COLUMNS = ("path", "label")


def table_task(
    path: str,
    name: str | None = None,
    cut: Cut = UNCHANGED,
    columns: Mapping[str, str] | None = None,
) -> Task:
    """Returns the task of the table `path`, named after it unless it is given a `name`.

    `columns` are what `path` and `label` are called in it, where they are called otherwise.

    Raises FolderError.
    """
    table = pathlib.Path(path).expanduser()
    if not table.is_file():
        raise FolderError(f"there is no table {path!r}; write {KIND}:FILE, with a CSV file.")
    table = table.resolve()
    names = tuple((columns or {}).get(column, column) for column in COLUMNS)
    source = Table(str(table), cut, names)
    return task_of(table, source, name or table.stem, list_table(table, names), __doc__)


@dataclasses.dataclass(frozen=True)
class Table(Folder):
    """A source that reads the image files that a table names."""

    columns: tuple[str, ...] = COLUMNS

    @functools.cached_property
    def _sorter(self) -> Sorter:
        table = pathlib.Path(self.path)
        listed = functools.partial(list_table, table, self.columns)
        return Sorter(table.parent, listed, self.cut)


def list_table(table: pathlib.Path, columns: tuple[str, ...] = COLUMNS) -> Listing:
    """What a table names, in its order, by its columns of paths and labels.

    Raises FolderError for a table that cannot be read or lacks a column, and what `listing_of`
    raises.
    """
    path, label = columns
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            found = rows.fieldnames or ()
            for wanted in (path, label):
                if wanted not in found:
                    raise FolderError(
                        f"{table} has the columns {', '.join(found) or 'none'}; it needs {path} "
                        f"and {label}, and may have split."
                    )
            named = [
                Row(
                    table, number, *((row.get(each) or "").strip() for each in (path, label))
                )._replace(split=(row.get("split") or "").strip())
                for number, row in enumerate(rows, start=2)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FolderError(f"{table} cannot be read as CSV: {error}.") from error
    return listing_of(named, table.parent)
