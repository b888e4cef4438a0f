"""Patches that know their own spec, so that one made in Python is the one that a command names."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec

from adapters.patches.contract import Patch
from adapters.spec import term_text

INNER = "inner"
"""The parameter of constructors that take another patch."""

Settings = ParamSpec("Settings")


def named(constructor: Callable[Settings, Patch]) -> Callable[Settings, Patch]:
    """Makes a constructor of the registry give its patches their spec, each setting spelled out.

    A patch around one that no spec names has none either, nor has one of a constructor from
    elsewhere: whatever it is called, a spec of that name would be another patch or none.
    """
    if not constructor.__module__.startswith(f"{__package__}."):
        return constructor
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def made(*arguments: Settings.args, **settings: Settings.kwargs) -> Patch:
        patch = constructor(*arguments, **settings)
        bound = signature.bind(*arguments, **settings)
        bound.apply_defaults()
        given = dict(bound.arguments)
        inner = given.pop(INNER, None)
        if inner is not None and not inner.spec:
            return patch._replace()
        text = term_text(constructor.__name__, inner.spec if inner else "", given)
        return patch._replace(spec=text)

    return made
