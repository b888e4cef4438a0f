"""What a patch reads beside the image, out of the words of a request."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from adapters.serving.errors import InputsError
from adapters.serving.network import Array, Task


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
