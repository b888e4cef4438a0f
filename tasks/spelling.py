"""How a user spells a task of their own data: `NAME=KIND:PLACE(SETTING=VALUE, ...)`.

The name and the settings may be left out. Settings are in the last brackets, and brackets at the
end are settings where they hold nothing or pairs `SETTING=VALUE`: a path that ends so itself is
followed by `()`. Else a path may hold brackets, commas and equals signs; a name holds none.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from adapters import errors, preprocessing
from tasks.augmentation import DEFAULT, Augmentation
from tasks.cutting import FRACTIONS, Cut, fractions_fault

_SPELLED = re.compile(r"(?:([^=:()/\\]+)=)?([a-z]+):(.*)", re.DOTALL)
_HALF = re.compile(r"(?:[^=:()/\\]+=)?(?:coco|masks|panoptic):[^,]*")
_PAIR = r"\s*\w+\s*=[^()=,]*"
_SETTINGS = re.compile(rf"(.*)\(((?:{_PAIR}(?:,{_PAIR})*)?\s*)\)\s*", re.DOTALL)


class TaskSettingError(errors.ModelPatchError):
    """A setting in a task's spelling that cannot be read, or that its images cannot have."""


class Spelled(NamedTuple):
    """A task as it was spelled.

    Attributes:
      name: that it shall have; None for that of its place.
      kind: where its images come from: `folder`, say.
      place: path or name there.
      settings: {name: value}, as text.
      text: all of it.
    """

    name: str | None
    kind: str
    place: str
    settings: Mapping[str, str]
    text: str

    def at(self, place: str, name: str) -> str:
        """The same, with everything said that was left out: `name=kind:place(settings)`."""
        settings = ", ".join(f"{setting}={value}" for setting, value in self.settings.items())
        said = f"{place}({settings})" if settings else closed(place)
        return f"{name}={self.kind}:{said}"


class Wanted(NamedTuple):
    """What a user's settings ask for.

    Attributes:
      cut: how images without splits are cut.
      columns: {role: name} of what images and labels are called in tables and data sets.
      queried: whether its objects are to be asked for; see `tasks.queries`.
      fields: of the `Task`: `fit`, `background`, `size`, `augmentation`, as far as they are given.
    """

    cut: Cut
    columns: Mapping[str, str]
    queried: bool
    fields: Mapping[str, Any]


def closed(place: str) -> str:
    """A place without settings, so that it is not taken for one with some."""
    return f"{place}()" if _SETTINGS.fullmatch(place) else place


def parse(text: str) -> Spelled | None:
    """Takes a spelling apart; None for a text that has none of its form.

    Raises TaskSettingError for a setting that is given twice.

    >>> parse("cats=folder:/data/cats (1)(fit=pad)")[:4]
    ('cats', 'folder', '/data/cats (1)', {'fit': 'pad'})
    """
    found = _SPELLED.fullmatch(text)
    if found is None:
        return None
    name, kind, place = found.groups()
    settings: dict[str, str] = {}
    if inside := _SETTINGS.fullmatch(place):
        place = inside[1]
        for pair in filter(str.strip, inside[2].split(",")):
            setting, value = (part.strip() for part in pair.split("="))
            if setting in settings:
                raise TaskSettingError(f"the task {text!r} gives {setting} twice.")
            settings[setting] = value
    return Spelled(name.strip() if name else None, kind, place, settings, text)


def split(pieces: list[str]) -> list[str]:
    """Spellings out of a text that was split at every comma: those in brackets join again.

    >>> split(["cats=folder:/a(fit=pad", " seed=1)", "digits", "folder:/b(", "c)"])
    ['cats=folder:/a(fit=pad, seed=1)', 'digits', 'folder:/b(', 'c)']
    """
    found: list[str] = []
    waiting: list[str] = []
    for piece in pieces:
        waiting.append(piece)
        joined = ",".join(waiting)
        if _SETTINGS.fullmatch(joined) or not re.search(rf"\({_PAIR}(?:,{_PAIR})*$", joined):
            found += [joined] if _SETTINGS.fullmatch(joined) else waiting
            waiting = []
    return found + waiting


def whole(names: Sequence[str]) -> list[str]:
    """Names that were cut at commas, those of two places whole again.

    >>> whole(["digits", "cells=coco:shots", "shots.json(seed=1)"])
    ['digits', 'cells=coco:shots,shots.json(seed=1)']
    """
    found: list[str] = []
    for name in names:
        if found and _HALF.fullmatch(found[-1]):
            found[-1] += f",{name}"
        else:
            found.append(name)
    return found


def wanted(spelled: Spelled, columns: tuple[str, ...]) -> Wanted:
    """What the settings ask for; `columns` are the roles that this kind of place has.

    Raises UnknownNameError for another setting, and TaskSettingError for a value.
    """
    known = [*_FIELDS, *_AUGMENTATION, "split", "seed", "queries", *columns]
    for setting in spelled.settings:
        if setting not in known:
            raise errors.UnknownNameError(
                f"setting of {spelled.kind}:",
                setting,
                known,
                "A path that ends in such brackets is followed by ().",
            )

    def value(setting: str, read: Callable[[str], Any]) -> Any:
        text = spelled.settings[setting]
        try:
            return read(text)
        except ValueError as error:
            raise TaskSettingError(
                f"the task {spelled.text!r} has {setting}={text}, which must be {error}."
            ) from error

    given = spelled.settings
    fields = {name: value(name, read) for name, read in _FIELDS.items() if name in given}
    changes = {name: value(name, read) for name, read in _AUGMENTATION.items() if name in given}
    if changes:
        fields["augmentation"] = dataclasses.replace(DEFAULT, **changes)
    cut = Cut(
        value("split", _fractions) if "split" in given else FRACTIONS,
        value("seed", _seed) if "seed" in given else 0,
    )
    queried = "queries" in given and value("queries", _truth)
    return Wanted(cut, {role: given[role] for role in columns if role in given}, queried, fields)


def _fit(text: str) -> str:
    if text not in preprocessing.FITS:
        raise ValueError(f"one of {', '.join(preprocessing.FITS)}")
    return text


def _colour(text: str) -> preprocessing.Colour:
    values = text.split("/")
    if len(values) != 3 or not all(each.isdecimal() and int(each) < 256 for each in values):
        raise ValueError("a colour RED/GREEN/BLUE, each from 0 to 255")
    red, green, blue = map(int, values)
    return red, green, blue


def _fractions(text: str) -> tuple[float, ...]:
    parts = _numbers(text)
    if fractions_fault(parts):
        raise ValueError(fractions_fault(parts))
    return parts


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise ValueError("a whole number from 0 on")
    return int(text)


def _side(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:5]) < 10_000):
        raise ValueError("a number of pixels, from 1 on")
    return int(text)


def _pair(text: str) -> tuple[float, float]:
    values = _numbers(text)
    if len(values) != 2:
        raise ValueError("two numbers LEAST/MOST")
    return values[0], values[1]


def _number(text: str) -> float:
    values = _numbers(text)
    if len(values) != 1:
        raise ValueError("a number")
    return values[0]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        values = tuple(map(float, text.split("/")))
    except ValueError:
        values = ()
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("numbers, with / between them")
    return values


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


_FIELDS: dict[str, Callable[[str], Any]] = {"fit": _fit, "background": _colour, "size": _side}
_READERS: dict[type, Callable[[str], Any]] = {tuple: _pair, bool: _truth, float: _number}
_AUGMENTATION = {
    field.name: _READERS[type(field.default)] for field in dataclasses.fields(Augmentation)
}
