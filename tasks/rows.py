"""Images that rows of tables name, as what lies in a folder."""

import pathlib
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from adapters import image_kinds
from tasks.cutting import SPLITS
from tasks.listing import SPLIT_FOLDERS, FolderError, ListedImage, Listing, shown


class Row(NamedTuple):
    """What a table says of an image.

    Attributes:
      table: the file.
      line: in it.
      name: path of the image, relative to the table's folder.
      label: of the image.
      split: as `SPLIT_FOLDERS` knows them, in any case; "" for none.
    """

    table: pathlib.Path
    line: int
    name: str
    label: str
    split: str = ""

    @property
    def path(self) -> pathlib.Path:
        """Where the image lies."""
        return self.table.parent / self.name


def listing_of(rows: Sequence[Row], root: pathlib.Path) -> Listing:
    """What rows name, in their order; names are shown from `root` on.

    Raises FolderError for a row without a label or with another split than `SPLIT_FOLDERS` knows,
    or splits of which none trains.
    """
    images: list[ListedImage] = []
    left_out: list[tuple[str, str]] = []
    for row in rows:
        label = unicodedata.normalize("NFC", row.label)
        split = SPLIT_FOLDERS.get(row.split.casefold()) if row.split else None
        if not label or (row.split and split is None):
            what = f"the split {row.split!r}" if label else "no label"
            raise FolderError(
                f"{row.table}, line {row.line}: {row.name} has {what}; every image has a label, "
                f"and a split is {', '.join(SPLITS)} or empty."
            )
        try:
            state = row.path.stat()
        except OSError as error:
            left_out.append((f"it cannot be opened: {error.strerror}", row.name))
            continue
        if row.path.suffix.lower() not in image_kinds.read_endings():
            left_out.append(("no image of a kind that is read", row.name))
            continue
        same = state.st_size, state.st_mtime_ns, state.st_ino
        images.append(ListedImage(row.path, shown(row.path, root), split, label, same))
    given = {image.split for image in images}
    splits = tuple(split for split in SPLITS if split in given)
    if splits and (None in given or not {"train", "validation"} <= given):
        said = [*splits, *(["none"] if None in given else [])]
        raise FolderError(
            f"{rows[0].table} gives the splits {', '.join(said)}: give every image one, train and "
            "validation among them, or none any."
        )
    return Listing(splits, tuple(images), tuple(left_out), ())
