"""Standard error without LiteRT's notices, which it has no setting for (its issue 7420)."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

STANDARD_ERROR = 2  # native code writes to the descriptor, whatever sys.stderr is
_NOTICES = (b"INFO: ", b"WARNING: ", b"I0000 ")
_lock = threading.Lock()


@contextlib.contextmanager
def without_notices() -> Iterator[None]:
    """Holds back standard error, this process's, and lets all but notices through at the end."""
    with _lock, tempfile.TemporaryFile() as held:
        try:
            kept = os.dup(STANDARD_ERROR)
        except OSError:  # there is none
            yield
            return
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()
        os.dup2(held.fileno(), STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(kept, STANDARD_ERROR)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not line.startswith(_NOTICES):
                    os.write(STANDARD_ERROR, line)
