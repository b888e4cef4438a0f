"""How far a run is: a bar on a terminal, a line every ten seconds in a log file."""

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TextIO

_NAMED = 3


class Progress:
    """Shows steps, images per second, losses and the time left of a run of `total` steps.

    `initial` is the step a resumed run goes on from. Only the main process should be `enabled`;
    the others print nothing. On a terminal `stream` (standard error when None) carries a tqdm bar;
    elsewhere, where control characters would fill a log, a line about every `interval` seconds and
    one at the end.
    """

    def __init__(
        self,
        total: int,
        initial: int = 0,
        enabled: bool = True,
        stream: TextIO | None = None,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total, self._initial, self._step = total, initial, initial
        self._enabled, self._interval, self._clock = enabled, interval, clock
        self._stream = sys.stderr if stream is None else stream
        self._images = 0
        self._started = self._printed = clock()
        self._text = ""
        self._pending = False
        self._bar = None
        if enabled and self._stream.isatty():
            import tqdm  # Here, as only a terminal needs it.

            self._bar = tqdm.tqdm(
                total=total, initial=initial, file=self._stream, unit="step", dynamic_ncols=True
            )

    def update(self, step: int, images: int, losses: Mapping[str, float]) -> None:
        """Tells that `step` steps are done, the last ones on `images` images.

        `losses` are the tasks' latest, by name; NaN marks a task without one.
        """
        if not self._enabled:
            return
        self._images += images
        advanced, self._step = step - self._step, step
        now = self._clock()
        speed = self._images / max(now - self._started, 1e-9)
        self._text = ", ".join(filter(None, [f"{speed:,.0f} images/s", describe(losses)]))
        self._pending = True
        if self._bar is not None:
            self._bar.set_postfix_str(self._text, refresh=False)
            self._bar.update(advanced)
        elif now - self._printed >= self._interval:
            self._print(now)

    def message(self, text: str) -> None:
        """Prints a line of its own, such as a validation's result, without breaking the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif self._enabled:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leaves the last state on show; nothing may follow."""
        if self._bar is not None:
            self._bar.close()
        elif self._pending:
            self._print(self._clock())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _print(self, now: float) -> None:
        done = self._step - self._initial
        left = duration((self._total - self._step) * (now - self._started) / done) if done else "?"
        share = self._step / self._total if self._total else 1.0
        print(
            f"step {self._step}/{self._total} ({share:.0%}), {self._text}, {left} left",
            file=self._stream,
            flush=True,
        )
        self._printed, self._pending = now, False


def describe(losses: Mapping[str, float]) -> str:
    """`loss 0.500: dtd 0.700, gtsrb 0.300`; of more than three tasks, the highest and the lowest.

    The mean leaves out tasks whose loss is NaN, as do the highest and the lowest.
    """
    known = {task: float(loss) for task, loss in losses.items() if loss == loss}
    if not known:
        return ""
    mean = f"loss {sum(known.values()) / len(known):.3f}"
    if len(known) == 1:
        return mean
    ordered = sorted(known, key=lambda task: known[task], reverse=True)
    if len(known) <= _NAMED:
        return f"{mean}: " + ", ".join(f"{task} {loss:.3f}" for task, loss in known.items())
    highest, lowest = ordered[0], ordered[-1]
    return f"{mean}: {highest} {known[highest]:.3f} to {lowest} {known[lowest]:.3f}"


def duration(seconds: float) -> str:
    """`1:02:03` or `2:03`, rounded to whole seconds."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
