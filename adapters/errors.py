"""The root of every error this project raises on purpose, and the one for a name nobody knows."""

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator, Sequence


class ModelPatchError(Exception):
    """Bad input, said in words: what was wrong, where, and what to do about it.

    Commands print these without a stack trace; anything else is a defect of ours.

    Attributes:
      settings: names of the settings that the words speak of: arguments in Python, flags in a
        command.
    """

    settings: tuple[str, ...] = ()

    def __init__(self, said: str = "", *, settings: Sequence[str] = ()):
        super().__init__(said)
        self.settings = tuple(settings) or type(self).settings


class UnknownNameError(ModelPatchError):
    """A task, patch, backbone or suite was asked for by a name that is not registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = ""):
        choices = sorted(known)
        near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
        meant = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
        listed = f"Known: {', '.join(choices)}." if choices else "There is none yet."
        parts = [f"no {kind} is called {name!r}.", hint, meant, listed]
        super().__init__(" ".join(filter(None, parts)))
        self.kind, self.name, self.near = kind, name, near


class DuplicateNameError(ModelPatchError):
    """Two things of one kind claim the same name."""

    def __init__(self, kind: str, name: str, how: str = "choose another name"):
        super().__init__(f"a {kind} called {name!r} is registered already; {how}.")


@contextlib.contextmanager
def about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Within the block, errors of ours say first which file they are about."""
    try:
        yield
    except ModelPatchError as error:
        error.args = (f"{os.fspath(path)}: {error}",)
        raise
