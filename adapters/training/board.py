"""TensorBoard's event files, written in the calling thread.

tensorboardX's own `SummaryWriter` hands events to a thread; should that die, of a full disk say,
the run would wait for it for ever.
"""

import pathlib
import time
from collections.abc import Mapping
from typing import Any


class Board:
    """Writes scalars to a new event file in `directory`, which is made when missing.

    TensorBoard hides what earlier files there say of `purge_step` and later steps.
    """

    def __init__(self, directory: pathlib.Path, purge_step: int):
        # Here, as they add to the start of every command.
        from tensorboardX import event_file_writer
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        directory.mkdir(parents=True, exist_ok=True)
        self._file = event_file_writer.EventsWriter(str(directory / "events"))
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(purge_step, session_log=start)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds each of `values` under its tag; raises OSError when the disk is full."""
        for tag, value in values.items():
            scalar = self._summary.Value(tag=tag, simple_value=value)
            self._add(step, summary=self._summary(value=[scalar]))
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _add(self, step: int, **content: Any) -> None:
        self._file.write_event(self._event(wall_time=time.time(), step=step, **content))
