"""Hugging Face's `imagefolder` layout: images, and a table that says what they are.

The table is `metadata.csv` or `metadata.jsonl` with a column `file_name`, relative to it, in the
folder itself or in each split's.
Reference: https://huggingface.co/docs/datasets/image_dataset
"""

import csv
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.listing import SPLIT_FOLDERS, FolderError, Listing, folders_in, images_below, shown
from tasks.rows import Row, listing_of

TABLES = ("metadata.csv", "metadata.jsonl")
NAME, LABEL = "file_name", "label"


def list_metadata(root: pathlib.Path, label: str | None = None) -> Listing | None:
    """What the tables of a folder name; None where there is none with a column of labels.

    `label` is what that column is called; without, it is `LABEL`, and tables may lack it: they then
    say other things of images that lie in classes' folders.

    Raises FolderError for tables that cannot be read, and what `listing_of` raises.
    """
    rows: list[Row] = []
    for table, split in _tables(root):
        for line, record in _records(table):
            if NAME not in record or (label is None and LABEL not in record):
                return None
            if (label or LABEL) not in record:
                raise FolderError(
                    f"{table}, line {line} has no {label}; it has {', '.join(record)}. Say which "
                    "of them is the label."
                )
            name = str(record[NAME])
            inside = pathlib.PurePath(name).parts[0].casefold() if name else ""
            own = split or (inside if inside in SPLIT_FOLDERS else "")
            rows.append(Row(table, line, name, _text(record[label or LABEL], table, line), own))
    if not rows:
        return None
    listing = listing_of(rows, root)
    named = {row.path.resolve() for row in rows}
    others = tuple(
        ("no metadata names it", shown(path, root))
        for path in images_below(root)
        if path.resolve() not in named
    )
    return listing._replace(left_out=(*listing.left_out, *others))


def columns_of(root: pathlib.Path) -> list[str]:
    """The columns of a folder's tables that may be labels."""
    first = (next(_records(table), (0, {}))[1] for table, _ in _tables(root))
    return sorted({column for record in first for column in record} - {NAME})


def _tables(root: pathlib.Path) -> Iterator[tuple[pathlib.Path, str]]:
    """Each table, and the split that its folder is."""
    for folder in (root, *folders_in(root)):
        split = folder.name.casefold()
        for name in TABLES:
            if (folder / name).is_file() and (folder == root or split in SPLIT_FOLDERS):
                yield folder / name, "" if folder == root else split


def _records(table: pathlib.Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """What each line says, with its number."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            if table.suffix == ".csv":
                yield from enumerate(csv.DictReader(file), start=2)
                return
            for line, text in enumerate(file, start=1):
                if text.strip():
                    record = json.loads(text)
                    if not isinstance(record, dict):
                        raise FolderError(f"{table}, line {line} is no object of JSON.")
                    yield line, record
    except (OSError, ValueError, csv.Error) as error:
        raise FolderError(f"{table} cannot be read: {error}.") from error


def _text(value: Any, table: pathlib.Path, line: int) -> str:
    if value is None or isinstance(value, str | int):
        return str("" if value is None else value).strip()
    raise FolderError(
        f"{table}, line {line} has the label {value!r}; an image has one label, a text or a whole "
        "number."
    )
