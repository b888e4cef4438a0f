"""Stop a run between two steps, so that it ends with a checkpoint rather than in the middle."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from adapters.errors import ModelPatchError


class StoppedError(ModelPatchError):
    """A signal stopped the run; its state is saved."""


class ProcessLostError(ModelPatchError):
    """Another process of the run has ended, or cannot be reached; the last checkpoint is there."""


class Interrupt:
    """Whether a signal asked the run to stop; `reason` names the first one, such as `SIGTERM`."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._impatient = False

    @property
    def requested(self) -> bool:
        return self.reason is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: notes the request; the second SIGINT raises KeyboardInterrupt."""
        if number == signal.SIGINT:
            if self._impatient:
                raise KeyboardInterrupt
            self._impatient = True
        self.reason = self.reason or signal.Signals(number).name


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turns SIGTERM and SIGINT (Ctrl-C) into a flag to look at between steps.

    A second Ctrl-C stops at once. The earlier handlers come back at the end. Signals reach the main
    thread only: in any other thread no handler is set, and the flag stays down.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    earlier = {}
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            earlier[number] = signal.signal(number, interrupt.handle)
        yield interrupt
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
