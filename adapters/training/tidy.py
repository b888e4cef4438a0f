"""`results/*.csv`: one measurement a row, the same columns everywhere."""

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Iterable, Sequence

from adapters import errors, files
from adapters.heads.registry import SCORES


class ColumnsError(errors.ModelPatchError):
    """A results file has other columns than ours."""

    def __init__(self, path: pathlib.Path, found: list[str]):
        super().__init__(
            f"{path} has the columns {', '.join(found) or '(none)'}, not {', '.join(COLUMNS)}; "
            "move the file away, or choose another name."
        )
        self.path, self.found = path, found


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One number: of what, measured how, and the command that gives it again.

    `setting` names whatever else differs between rows: scheduler, peer, shape, threads. `value` is
    in `unit`, such as `%`, `bytes`, `images/s`; `split` is empty where no data were used.
    """

    task: str
    backbone: str
    patch: str
    setting: str
    seed: int
    split: str
    metric: str
    value: float
    unit: str
    command: str


def is_score(row: Measurement) -> bool:
    """Whether a row holds the figure that runs are compared by, of one task and split."""
    return bool(row.split) and row.metric in SCORES


COLUMNS = [field.name for field in dataclasses.fields(Measurement)]


def append(path: str | os.PathLike[str], rows: Iterable[Measurement]) -> None:
    """Adds `rows` to the CSV file at `path`, making it when missing; all of them or none.

    Rows already there stay as they are, byte for byte. Only one process may write a file at a time.
    Raises ColumnsError when its header is not ours.
    """
    target = pathlib.Path(path)
    text = target.read_bytes().decode("utf-8") if target.exists() else _csv([COLUMNS])
    header = next(csv.reader(io.StringIO(text, newline="")), [])
    if header != COLUMNS:
        raise ColumnsError(target, header)
    end = "" if text.endswith("\n") else "\n"
    added = _csv([list(dataclasses.astuple(row)) for row in rows])
    files.write_bytes(target, (text + end + added).encode("utf-8"))


def read(path: str | os.PathLike[str]) -> list[Measurement]:
    """The rows of the CSV file at `path`; written again, they have the same bytes.

    Raises ColumnsError when its header is not ours.
    """
    target = pathlib.Path(path)
    header, *lines = csv.reader(io.StringIO(target.read_bytes().decode("utf-8"), newline=""))
    if header != COLUMNS:
        raise ColumnsError(target, header)
    return [_measurement(**dict(zip(COLUMNS, line, strict=True))) for line in lines]


def update(path: str | os.PathLike[str], rows: Iterable[Measurement]) -> None:
    """Puts `rows` in the CSV file at `path`, making it when missing; all of them or none.

    A row takes the place of an earlier one that measured the same: that differs in nothing but
    value and command. Only one process may write a file at a time. Raises ColumnsError.
    """
    target = pathlib.Path(path)
    earlier = read(target) if target.exists() else []
    kept = {
        dataclasses.replace(row, value=0.0, command=""): row for row in [*earlier, *rows]
    }  # a dict keeps the place of a key that comes again
    text = _csv([COLUMNS, *(list(dataclasses.astuple(row)) for row in kept.values())])
    files.write_bytes(target, text.encode("utf-8"))


def _measurement(seed: str, value: str, **texts: str) -> Measurement:
    # Integers stay integers: 1234 bytes must not come back as 1234.0.
    number = int(value) if value.lstrip("-").isdigit() else float(value)
    return Measurement(seed=int(seed), value=number, **texts)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
