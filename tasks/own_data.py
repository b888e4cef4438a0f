"""A user's own data as a task: from `cats=folder:/data/cats(fit=pad)` to what reads it."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from adapters import errors
from tasks import coco, folder, hub, masks, panoptic, prepared, queries, spelling, table
from tasks.task import Task


class _Kind(NamedTuple):
    """A kind of place: what makes a task of it, and the roles that its columns have.

    `place` is how its sources call where the data are, with whole paths.
    """

    task: Callable[..., Task]
    columns: Sequence[str]
    place: str


KINDS = {
    folder.KIND: _Kind(folder.folder_task, folder.COLUMNS, "path"),
    table.KIND: _Kind(table.table_task, table.COLUMNS, "path"),
    coco.KIND: _Kind(coco.coco_task, coco.COLUMNS, "place"),
    masks.KIND: _Kind(masks.masks_task, masks.COLUMNS, "place"),
    panoptic.KIND: _Kind(panoptic.panoptic_task, panoptic.COLUMNS, "place"),
    prepared.KIND: _Kind(prepared.tfds_task, prepared.COLUMNS, "directory"),
    hub.KIND: _Kind(hub.hub_task, hub.COLUMNS, "place"),
}


def task(text: str, data_dir: str | None = None) -> Task | None:
    """The task that `text` spells, see `tasks.spelling`; None for a text of another form.

    `data_dir` is where TFDS data was prepared. Raises UnknownNameError for another setting,
    TaskSettingError, and what the functions of `KINDS` raise: FolderError, say.
    """
    spelled = spelling.parse(text)
    if spelled is None or spelled.kind not in KINDS:
        return None
    kind = KINDS[spelled.kind]
    wanted = spelling.wanted(spelled, tuple(kind.columns))
    own = {"data_dir": data_dir} if spelled.kind == prepared.KIND else {}
    try:
        made = kind.task(spelled.place, spelled.name, wanted.cut, wanted.columns, **own)
    except errors.ModelPatchError as error:
        whole = text.partition(f"{spelled.kind}:")[2]
        if whole != spelled.place and pathlib.Path(whole).expanduser().exists():
            error.args = (f"{error} There is {whole!r}: if that is meant, put () after it.",)
        raise
    place = getattr(made.source, kind.place)
    made = dataclasses.replace(made, **wanted.fields, spelled=spelled.at(place, made.name))
    return queries.queried(made, made.name) if wanted.queried else made


def hint(text: str) -> str:
    """How a text that names no task is spelled, where it is a path that exists; else "".

    `folder:` and the like may also have been meant and misspelt.
    """
    name, equals, path = text.partition("=")
    for given, before in ((text, ""), (path, f"{name}{equals}")):
        there = pathlib.Path(given).expanduser()
        if not given or not there.exists():
            continue
        if not there.is_dir():
            place = f"{table.KIND}:{spelling.closed(given)}"
            return f"There is a file of that name: {before}{place}, if it is a table."
        kind = folder.KIND
        if (there / "dataset_dict.json").is_file() or (there / "state.json").is_file():
            kind = hub.KIND
        elif (there / "features.json").is_file() or any(there.glob("*/features.json")):
            kind = prepared.KIND
        return f"There is a folder of that name: {before}{kind}:{spelling.closed(given)}."
    kind, colon, _ = (path if equals else text).partition(":")
    if colon and kind.isalpha():
        return f"Own data are {', '.join(f'{each}:' for each in KINDS)} and a place."
    return ""
