"""What every command shares: errors in words, compiled programs kept between runs."""

import atexit
import logging as stdlib_logging
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from absl import app, flags, logging

import adapters
import launch
import tasks
from adapters.compiled_programs import keep_compiled_programs
from adapters.errors import ModelPatchError
from adapters.runtime.notices import end_without_notices
from adapters.training.interrupt import ProcessLostError, StoppedError
from launch.flag_names import flag_of
from launch.plain_output import PlainOutput
from launch.remedies import remedies

Item = TypeVar("Item")
BAD_INPUT, STOPPED = 2, 3  # exit statuses
INTERRUPTED, CLOSED = 130, 141  # what shells give for SIGINT and SIGPIPE
HELP = ("-?", *(f"{dashes}{name}" for dashes in ("-", "--") for name in ("help", "h", "helpfull")))


def run(main: Callable[[Sequence[str]], None], *, compiles: bool = True) -> None:
    """Runs an absl `main`; our own errors end it with their message instead of a stack trace.

    The exit status is 2 for bad input, 3 for a run that a signal stopped or whose other processes
    are gone, and that can be resumed, 130 for any other command that Ctrl-C ends, and 141 where
    nobody reads the output to its end. A command that compiles nothing says so, and then needs no
    JAX.
    """

    def guarded(arguments: Sequence[str]) -> None:
        _show_every_character()
        _show_own_messages()
        if compiles:
            keep_compiled_programs()
        try:
            main(arguments)
            sys.stdout.flush()
        except BrokenPipeError:
            _let_nobody_write()
            sys.exit(CLOSED)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except (StoppedError, ProcessLostError) as error:
            print(in_words(error), file=sys.stderr)
            _end(STOPPED)
        except (ModelPatchError, OSError) as error:
            print(f"error: {in_words(error)}", file=sys.stderr)
            _end(BAD_INPUT)

    try:
        app.run(guarded)
    except SystemExit as ended:
        # absl ends with 1 when it has helped.
        if ended.code == 1 and not set(HELP).isdisjoint(sys.argv[1:]):
            sys.exit(0)
        raise


def _show_every_character() -> None:
    if sys.stdout.isatty():
        sys.stdout = PlainOutput(sys.stdout)
    if sys.stderr.isatty():
        sys.stderr = PlainOutput(sys.stderr)
        logging.get_absl_handler().python_handler.stream = sys.stderr


def _end(status: int) -> None:
    """Ends this process; one that trains with others, at once, so that those notice."""
    if "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)  # Python's own end would wait for them, and they may wait for this one
    sys.exit(status)


def _let_nobody_write() -> None:
    """So that Python has nothing to say of a closed pipe when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def watched(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """`items`, with a bar of how far they are where a terminal shows it."""
    if not sys.stderr.isatty():
        yield from items
        return
    import tqdm  # Here, as only a terminal needs it.

    yield from tqdm.tqdm(items, total=total, unit=unit, dynamic_ncols=True)


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
