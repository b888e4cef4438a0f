"""What every command shares: errors in words, compiled programs kept between runs."""

import atexit
import logging as stdlib_logging
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence

from absl import app, flags, logging

import adapters
import launch
import tasks
from adapters.compiled_programs import keep_compiled_programs
from adapters.errors import ModelPatchError
from adapters.runtime.notices import end_without_notices
from adapters.training.interrupt import StoppedError
from launch.flag_names import flag_of
from launch.remedies import remedies

BAD_INPUT, STOPPED = 2, 3  # exit statuses


def run(main: Callable[[Sequence[str]], None], *, compiles: bool = True) -> None:
    """Runs an absl `main`; our own errors end it with their message instead of a stack trace.

    The exit status is 2 for bad input and 3 for a run that a signal stopped. A command that
    compiles nothing says so, and then needs no JAX.
    """

    def guarded(arguments: Sequence[str]) -> None:
        _show_own_messages()
        if compiles:
            keep_compiled_programs()
        try:
            main(arguments)
        except StoppedError as error:
            print(in_words(error), file=sys.stderr)
            sys.exit(STOPPED)
        except (ModelPatchError, OSError) as error:
            print(f"error: {in_words(error)}", file=sys.stderr)
            sys.exit(BAD_INPUT)

    app.run(guarded)


def in_words(error: ModelPatchError | OSError) -> str:
    """The error's own words, then what it takes in a command: flags, or another command."""
    if isinstance(error, OSError):
        named = error.filename is not None
        return f"{error.filename}: {error.strerror}." if named else str(error)
    known = [flag_of(name) for name in error.settings if flag_of(name) in flags.FLAGS]
    said = [str(error), *([f"(--{', --'.join(known)})"] if known else []), *remedies(error)]
    return " ".join(said)


def _show_own_messages() -> None:
    """Lets through what this project logs, and only warnings of the libraries below it.

    A warning of ours is about the user's files: where in the code it arose says nothing.
    """
    ours = {str(pathlib.Path(package.__path__[0])) for package in (adapters, tasks, launch)}

    def wanted(record: stdlib_logging.LogRecord) -> bool:
        inside = any(record.pathname.startswith(folder) for folder in ours)
        return inside or record.levelno > stdlib_logging.INFO

    logging.set_verbosity(logging.INFO)
    handler = logging.get_absl_handler()
    handler.setFormatter(None)
    handler.addFilter(wanted)
    formatted = warnings.formatwarning

    def formatted_in_words(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if category.__module__.partition(".")[0] in ("adapters", "tasks", "launch"):
            return f"warning: {message}\n"
        return formatted(message, category, filename, lineno, line)

    warnings.formatwarning = formatted_in_words
    atexit.register(end_without_notices)
