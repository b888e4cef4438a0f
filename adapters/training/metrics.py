"""Figures of a run against its steps: `metrics.jsonl`, and TensorBoard's files beside it.

A tag reads `train/loss/flowers`: who measured, what, of which task.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from adapters import errors, files
from adapters.training.board import Board

FILE = "metrics.jsonl"


class MetricsError(errors.ModelPatchError):
    """A metrics file cannot be read, or a record does not fit after those before it."""


class Record(NamedTuple):
    """The figures of one step. A figure that was not finite is NaN when read back."""

    step: int
    values: dict[str, float]


class MetricsWriter:
    """Writes records to `directory/metrics.jsonl` and to `directory/tensorboard`.

    A record is one line, `{"step": 10, "train/loss/flowers": 0.5}`, and survives the process once
    `write` returns. JSON knows no NaN and no infinity: both are written as `null`. TensorBoard
    shows them.

    `resumed_from` is the step of the checkpoint the run goes on from: records of later steps, which
    will be written again, are removed from both logs. None starts both afresh. Write a step's
    records before its checkpoint, so that none is missing after a resume.

    Raises NotWrittenError when the disk is full, say, then and in every method.
    """

    def __init__(self, directory: str | os.PathLike[str], resumed_from: int | None = None):
        self._root = pathlib.Path(directory)
        self._step = -1 if resumed_from is None else resumed_from
        path = self._root / FILE
        _truncate(path, self._step)
        with files.writing(self._root):
            self._lines = open(path, "a", encoding="utf-8")  # noqa: SIM115, closed by `close`.
            self._board = Board(self._root / "tensorboard", self._step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one record; `values` may be Python, numpy or JAX scalars.

        Raises MetricsError when `step` lies before a step written already.
        """
        if step < self._step:
            raise MetricsError(f"step {step} comes after step {self._step}: steps only grow.")
        self._step = step
        numbers = {tag: float(value) for tag, value in values.items()}
        finite = {tag: value if math.isfinite(value) else None for tag, value in numbers.items()}
        with files.writing(self._root):
            self._lines.write(json.dumps({"step": step, **finite}) + "\n")
            self._lines.flush()
            self._board.write(step, numbers)

    def close(self) -> None:
        """Ends both logs; the writer cannot be used afterwards."""
        with files.writing(self._root):
            try:
                self._lines.close()
            finally:
                self._board.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read(path: str | os.PathLike[str]) -> list[Record]:
    """Every record of a `metrics.jsonl`, in order; a last line still being written is left out.

    Raises MetricsError, naming the line, for anything else that is not a record.
    """
    *lines, _ = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    return [_record(path, number, line) for number, line in enumerate(lines, start=1)]


def _record(path: str | os.PathLike[str], number: int, line: str) -> Record:
    try:
        fields: dict[str, Any] = json.loads(line)
        step = int(fields.pop("step"))
        values = {tag: math.nan if v is None else float(v) for tag, v in fields.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MetricsError(
            f"{path}, line {number} is not a record ({error!r}); remove the line to go on."
        ) from error
    return Record(step, values)


def _truncate(path: pathlib.Path, step: int) -> None:
    """Keeps the records up to `step`, byte for byte."""
    kept = []
    if path.exists():
        lines = path.read_text(encoding="utf-8").split("\n")
        kept = [
            line for line, record in zip(lines, read(path), strict=False) if record.step <= step
        ]
    files.write_bytes(path, "".join(f"{line}\n" for line in kept).encode("utf-8"))
