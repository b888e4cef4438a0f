"""When a run is over: after its steps, or before, when time is up or nothing gets better."""

import dataclasses
import time
from collections.abc import Callable
from typing import Literal

End = Literal["steps", "minutes", "patience"]


@dataclasses.dataclass(frozen=True)
class Stopping:
    """When a run ends before its steps are done.

    Attributes:
      patience: evaluations in a row without a higher score of any task; 0: any number.
      minutes: of training and evaluation, of all calls together; 0: as many as it takes.
      clock: in seconds.
    """

    patience: int = 0
    minutes: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def end(self, left: int, without: int, seconds: float) -> End | None:
        """Why a run is over; None where it goes on.

        Args:
          left: steps not done yet.
          without: the last evaluations, that made nothing better.
          seconds: that it took so far.
        """
        if left <= 0:
            return "steps"
        if self.minutes and seconds >= 60 * self.minutes:
            return "minutes"
        if self.patience and without >= self.patience:
            return "patience"
        return None
