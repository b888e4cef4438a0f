"""What a term of a spec names, made: its settings are those of the function that makes it."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.errors import ModelPatchError


def built(
    what: str,
    name: str,
    constructor: Callable[..., Any],
    settings: Mapping[str, object],
    error: type[ModelPatchError],
    inner: Sequence[object] = (),
) -> Any:
    """`constructor(*inner, **settings)`, its settings checked against its signature.

    Args:
      what, name: how messages call it: the patch 'lora', say.
      constructor: takes the things of `inner` by place, and annotated settings.
      settings: by name.
      error: of what type messages are.
      inner: what stands in the brackets before the settings.
    """
    known = dict(list(inspect.signature(constructor).parameters.items())[len(inner) :])
    for setting, value in settings.items():
        if setting not in known:
            raise error(
                f"the {what} {name!r} has no setting {setting!r}; it has: "
                f"{', '.join(known) or 'none'}."
            )
        _check_kind(f"the {what} {name!r}", value, known[setting], error)
    for setting, parameter in known.items():
        if parameter.default is parameter.empty and setting not in settings:
            raise error(f"the {what} {name!r} needs the setting {setting}=...")
    return constructor(*inner, **settings)


def _check_kind(
    whose: str, value: object, setting: inspect.Parameter, error: type[ModelPatchError]
) -> None:
    """Compares with the annotation; a whole number will do for any number."""
    allowed = typing.get_args(setting.annotation) or (setting.annotation,)
    kinds = {kind if isinstance(kind, type) else type(kind) for kind in allowed}
    if type(value) not in kinds and not (type(value) is int and float in kinds):
        names = " or ".join(sorted(kind.__name__ for kind in kinds - {type(None)}))
        raise error(f"{whose} has {setting.name}={value}; it must be of the kind {names}.")
