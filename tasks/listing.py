"""What lies in a folder: which files are images of which class and split, and the rest."""

import os
import pathlib
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adapters import errors, image_kinds
from tasks.cutting import SPLITS

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What the folder of a split may be called, in any case."""

HIDDEN = "hidden, or a system's own"
NO_IMAGE = "no image"
QUIET = (HIDDEN, NO_IMAGE)
"""Why a file is left out of which nobody has to be told."""

_SYSTEMS_OWN = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "system volume information"}
)


class FolderError(errors.ModelPatchError):
    """A folder of images that is missing, empty, or has no classes to tell apart."""


class ListedImage(NamedTuple):
    """A file that should be an image.

    Attributes:
      path: of the file.
      name: its path below the split's folder, or below the whole one, as text that can be shown.
      split: that it was put in; None where the folder brings no splits.
      label: its class.
      state: size in bytes, time of the last change and number of the file: others for other bytes.
    """

    path: pathlib.Path
    name: str
    split: str | None
    label: str
    state: tuple[int, int, int]


class Listing(NamedTuple):
    """All that lies in a folder.

    Attributes:
      splits: those that the folder brings; none where its images are to be cut.
      images: in the order of splits, classes and names.
      left_out: [(why, name below the folder)].
      empty: names of folders that should be classes and hold no image, with what they hold.
    """

    splits: tuple[str, ...]
    images: tuple[ListedImage, ...]
    left_out: tuple[tuple[str, str], ...]
    empty: tuple[tuple[str, str], ...]

    def labels(self) -> list[str]:
        """The classes to train on, sorted."""
        return sorted({image.label for image in self.images if image.split in (None, "train")})

    def not_read(self, label: str) -> str:
        """Why images in a class's folder are left out, with their numbers; "" where none is."""
        inside = [
            why
            for why, name in self.left_out
            if unicodedata.normalize("NFC", name).startswith(f"{label}/") and why not in QUIET
        ]
        return "; ".join(f"{number} left out: {why}" for why, number in Counter(inside).items())


def list_folder(root: pathlib.Path) -> Listing:
    """Looks through a folder, and through links in it; opens only files of unknown endings.

    A class is a sub-folder with all below it. Where there are folders of splits, it is one of
    theirs. Names are compared in Unicode's composed form.

    Raises FolderError where a folder cannot be listed, two folders are one split, a class that
    trains has images of none but unread kinds, or classes hold splits of their own.
    """
    return _Lister(root).listing()


def folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folders that lie in one, but for hidden ones; raises FolderError."""
    return [
        path
        for path, state in _entries(folder)
        if state is not None and stat.S_ISDIR(state.st_mode) and not _is_hidden(path.name)
    ]


def images_below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """All images below a folder, but for hidden ones; raises FolderError."""
    for path, state in _walk(folder):
        if not _is_hidden(path.name) and _kind(path, state) is not None:
            yield path


class _Lister:
    def __init__(self, root: pathlib.Path):
        self._root = root
        self._images: list[ListedImage] = []
        self._left_out: list[tuple[str, str]] = []
        self._empty: list[tuple[str, str]] = []

    def listing(self) -> Listing:
        top = self._folders(self._root)
        splits = self._splits(top)
        if splits:
            for path in top:
                if path not in splits.values():
                    self._leave_all_out(path, "in a folder beside those of the splits")
            for split, path in splits.items():
                self._add_classes(self._folders(path), path, split)
        else:
            self._add_classes(top, self._root, None)
        return Listing(
            tuple(splits), tuple(self._images), tuple(self._left_out), tuple(self._empty)
        )

    def _folders(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """The folders in one whose own files belong to no class."""
        found = []
        for path, state in _entries(folder):
            if _is_hidden(path.name):
                self._leave_out(path, HIDDEN)
            elif state is not None and stat.S_ISDIR(state.st_mode):
                found.append(path)
            else:
                is_image = _kind(path, state) is not None
                self._leave_out(path, "beside the folders of the classes" if is_image else NO_IMAGE)
        return found

    def _splits(self, top: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
        """The folders of splits. Pictures of trains may well be a class `train`."""
        named: dict[str, list[pathlib.Path]] = defaultdict(list)
        for path in top:
            named[SPLIT_FOLDERS.get(path.name.casefold(), "")].append(path)
        others = named.pop("", [])
        if not named or (others and (len(named) == 1 or "train" not in named)):
            return {}
        folders = [path for paths in named.values() for path in paths]
        if not any(any(images_below(path)) for own in folders for path in folders_in(own)):
            return {}
        for split in ("train", "validation"):
            if split not in named:
                names = [name for name, meant in SPLIT_FOLDERS.items() if meant == split]
                there = " and ".join(path.name for path in folders)
                raise FolderError(
                    f"{self._root} has {there}, but no folder called {' or '.join(names)}. Make "
                    "one, or take the classes' folders out."
                )
        for split, paths in named.items():
            if len(paths) > 1:
                both = " and ".join(path.name for path in paths)
                raise FolderError(
                    f"{self._root} has two folders of the split {split}: {both}. Make them one."
                )
        return {split: named[split][0] for split in SPLITS if split in named}

    def _add_classes(
        self, folders: Sequence[pathlib.Path], base: pathlib.Path, split: str | None
    ) -> None:
        by_label: dict[str, list[pathlib.Path]] = defaultdict(list)
        for path in folders:
            by_label[unicodedata.normalize("NFC", path.name)].append(path)
        for label, paths in sorted(by_label.items()):
            before, unread = len(self._images), dict[str, int]()
            for path in paths:
                self._check_no_splits(path)
                for kind in self._add_class(path, base, split, label):
                    unread[kind] = unread.get(kind, 0) + 1
            if len(self._images) > before:
                continue
            if unread and split in (None, "train"):
                said = "; ".join(
                    f"{image_kinds.why_not_read(kind)} (it holds {number})"
                    for kind, number in sorted(unread.items())
                )
                raise FolderError(f"{paths[0]} holds no image that can be read: {said}.")
            self._empty.append((shown(paths[0], self._root), ", ".join(sorted(unread))))

    def _add_class(
        self, folder: pathlib.Path, base: pathlib.Path, split: str | None, label: str
    ) -> Iterator[str]:
        """Adds the images below a class's folder; yields the kinds of those that are not read."""
        for path, state in _walk(folder):
            if _is_hidden(path.name):
                self._leave_out(path, HIDDEN)
            elif state is None:
                self._leave_out(path, "it cannot be opened, or is a link in a circle")
            elif not stat.S_ISREG(state.st_mode):
                self._leave_out(path, "no regular file")
            elif (kind := _kind(path, state)) is None:
                self._leave_out(path, NO_IMAGE)
            elif kind in image_kinds.READ or (
                kind == image_kinds.HEIC and image_kinds.reads_heic()
            ):
                name = shown(path, base)
                same = state.st_size, state.st_mtime_ns, state.st_ino
                self._images.append(ListedImage(path, name, split, label, same))
            else:
                self._leave_out(path, image_kinds.why_not_read(kind))
                yield kind

    def _check_no_splits(self, folder: pathlib.Path) -> None:
        inside = {SPLIT_FOLDERS.get(path.name.casefold()) for path in folders_in(folder)}
        if {"train"} < inside & set(SPLITS):
            raise FolderError(
                f"{folder} has splits of its own. If it holds all classes, give it itself; if it "
                f"is a class, put the splits outside: train/{folder.name}, and so on."
            )

    def _leave_all_out(self, folder: pathlib.Path, why: str) -> None:
        for path, state in _walk(folder):
            is_image = _kind(path, state) is not None
            self._leave_out(
                path, HIDDEN if _is_hidden(path.name) else why if is_image else NO_IMAGE
            )

    def _leave_out(self, path: pathlib.Path, why: str) -> None:
        self._left_out.append((why, shown(path, self._root)))


def _walk(
    folder: pathlib.Path, above: frozenset[tuple[int, int]] | None = None
) -> Iterator[tuple[pathlib.Path, os.stat_result | None]]:
    """Everything below a folder that is none, and folders that nobody looks into."""
    if above is None:
        above = frozenset(_identity(own.stat()) for own in (folder, *folder.parents))
    for path, state in _entries(folder):
        if state is None or not stat.S_ISDIR(state.st_mode) or _is_hidden(path.name):
            yield path, state
        elif _identity(state) in above:
            yield path, None
        else:
            yield from _walk(path, above | {_identity(state)})


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _entries(folder: pathlib.Path) -> list[tuple[pathlib.Path, os.stat_result | None]]:
    """What lies in a folder, links followed, sorted; with None where that cannot be looked at."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise FolderError(f"{folder} cannot be looked into: {error.strerror}.") from error

    def state(entry: os.DirEntry[str]) -> os.stat_result | None:
        try:
            return entry.stat()
        except OSError:
            return None

    return [(folder / entry.name, state(entry)) for entry in entries]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _SYSTEMS_OWN


def _kind(path: pathlib.Path, state: os.stat_result | None) -> str | None:
    """The kind of image that a file is by its ending, or by its first bytes; no other is opened."""
    if state is None or not stat.S_ISREG(state.st_mode):
        return None
    known = image_kinds.ENDINGS.get(path.suffix.lower())
    if known is not None:
        return known
    try:
        with path.open("rb") as file:
            return image_kinds.kind_of(file.read(image_kinds.LONGEST))
    except OSError:
        return None


def shown(path: pathlib.Path, base: pathlib.Path) -> str:
    """A path as text that can be shown, without the path `base` where it begins with that.

    Bytes that are not UTF-8, and characters that act on a terminal, are written as figures.
    """
    inside = path.relative_to(base) if path.is_relative_to(base) else path
    name = os.fsencode(inside.as_posix()).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in name)
