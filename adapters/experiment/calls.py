"""A run as the call that repeats it: what stands beside the results of one started in Python."""

import dataclasses
from collections.abc import Sequence

from adapters.experiment.settings import DEFAULTS, Settings


def fit_call(tasks: Sequence[str], settings: Settings) -> str:
    """The call of `adapters.fit`, with every setting that is not the default.

    >>> from adapters.experiment.settings import settings_of
    >>> fit_call(["digits"], settings_of(patch="bias", steps=300))
    "adapters.fit(['digits'], patch='bias', steps=300)"
    """
    values = {**dataclasses.asdict(settings), **dataclasses.asdict(settings.recipe)}
    given = [f"{name}={values[name]!r}" for name in DEFAULTS if values[name] != DEFAULTS[name]]
    return f"adapters.fit({', '.join([repr(list(tasks)), *given])})"
