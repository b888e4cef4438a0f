"""What a request says beside the image: how many labels it wants, and what a patch reads."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from adapters.serving.errors import InputsError
from adapters.serving.limits import Limits
from adapters.serving.network import Array, Task

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
      given: names with numbers as text, commas between them; of a query, or of a form's fields.
      task: whose patch says what it needs.

    Raises InputsError for anything else than exactly those, once each.
    """
    needs = task.contents.inputs
    names = sorted(name for name, _ in given)
    if names != sorted(needs):
        raise InputsError(
            f"{task.contents.task} takes {_wanted(needs)}, not "
            f"{', '.join(names) or 'an image alone'}."
        )
    return {name: _numbers(name, text, needs[name]) for name, text in given}


def _wanted(needs: Mapping[str, tuple[int, ...]]) -> str:
    if not needs:
        return "an image alone"
    query = "&".join(f"{name}={','.join(['0.0'] * math.prod(needs[name]))}" for name in needs)
    return f"?{query} or the same as fields of a form"


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
