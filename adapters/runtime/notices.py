"""Standard error without LiteRT's notices, which it has no setting for (its issue 7420)."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

_STANDARD_ERROR = 2  # native code writes to the descriptor, whatever sys.stderr is
_NOTICES = (b"INFO: ", b"WARNING: ", b"I0000 ")
_lock = threading.Lock()


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Holds back standard error, this process's, and lets all but notices through at the end."""
    with _lock, contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
            kept = os.dup(_STANDARD_ERROR)
        except OSError:  # no standard error, or no room to hold any of it: as it is, then
            pass
        else:
            stack.callback(_let_through, kept, held)
            os.dup2(held.fileno(), _STANDARD_ERROR)
        yield


def _let_through(kept: int, held: IO[bytes]) -> None:
    os.dup2(kept, _STANDARD_ERROR)
    os.close(kept)
    held.seek(0)
    for line in held:
        if not line.startswith(_NOTICES):
            os.write(_STANDARD_ERROR, line)


def end_without_notices() -> None:
    """Silences standard error, this process's, if LiteRT was loaded: it has last words of its own.

    For `atexit`, in programs that have said everything by then.
    """
    if "ai_edge_litert.compiled_model" in sys.modules:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_ERROR)
