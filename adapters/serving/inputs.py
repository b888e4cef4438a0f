"""What a request says beside the image: how many labels it wants, and what a patch reads."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from adapters.errors import UnknownNameError
from adapters.serving.errors import InputsError
from adapters.serving.limits import Limits
from adapters.serving.network import Array, Task
from adapters.words import Words, numbers, unsaid

TOP = "top"


class Asked(NamedTuple):
    """What a request says beside the image.

    Attributes:
      top: how many labels to answer with.
      inputs: names with numbers as text, for `read_inputs`.
    """

    top: int
    inputs: Sequence[tuple[str, str]]


def read_top(given: Sequence[tuple[str, str]], limits: Limits) -> Asked:
    """How many labels are asked for, and the words that say something else.

    Args:
      given: names with texts; of a query, or of a form's fields.
      limits: how many labels there are unless a request says it, and may be at most.

    Raises InputsError for what is no whole number from 1 to that, or is said twice.
    """
    said = [text for name, text in given if name == TOP]
    others = [(name, text) for name, text in given if name != TOP]
    if not said:
        return Asked(limits.answers, others)
    if len(said) > 1 or not re.fullmatch("[0-9]{1,9}", said[0]):
        raise InputsError(f"{TOP} is one whole number: how many labels to answer with.")
    if not 1 <= int(said[0]) <= limits.most_answers:
        raise InputsError(f"{TOP} is {said[0]}; it may be 1 to {limits.most_answers}.")
    return Asked(int(said[0]), others)


def read_inputs(given: Sequence[tuple[str, str]], task: Task) -> dict[str, Array]:
    """The inputs of a task, {name: array of its shape}.

    Args:
      given: names with what they are, numbers with commas between them or a text of a closed list;
        of a query, or of a form's fields.
      task: whose patch says what it needs.

    Raises InputsError for anything else than exactly those, once each, and for another text than
    those of the list.
    """
    needs, words = task.contents.inputs, task.contents.words
    names, silent = sorted(name for name, _ in given), unsaid(needs, words)
    if sorted({*names, *silent}) != sorted(needs) or len(set(names)) != len(names):
        raise InputsError(
            f"{task.contents.task} takes {_wanted(needs, words)}, not "
            f"{', '.join(names) or 'an image alone'}."
        )
    return silent | {name: _read(name, text, needs[name], words.get(name)) for name, text in given}


def _wanted(needs: Mapping[str, tuple[int, ...]], words: Mapping[str, Words]) -> str:
    if not needs:
        return "an image alone"
    some = {
        name: next(iter(filter(None, words.get(name, ()))), ",".join(["0.0"] * math.prod(shape)))
        for name, shape in needs.items()
    }
    query = "&".join(f"{name}={text}" for name, text in some.items())
    return f"?{query} or the same as fields of a form"


def _read(name: str, text: str, shape: tuple[int, ...], words: Words | None) -> Array:
    if words is None:
        return _numbers(name, text, shape)
    try:
        return numbers(name, text, words, shape[0])
    except UnknownNameError as error:
        raise InputsError(str(error)) from error


def _numbers(name: str, text: str, shape: tuple[int, ...]) -> Array:
    try:
        with np.errstate(over="ignore"):  # what is too large is refused as infinite
            values = np.array(text.split(","), np.float32).reshape(shape)
    except ValueError as error:
        raise InputsError(
            f"{name} must be {math.prod(shape)} numbers with commas between them."
        ) from error
    if not np.isfinite(values).all():
        raise InputsError(f"{name} must be finite numbers.")
    return values
