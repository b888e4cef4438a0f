"""`report`: a run's folder as a web page, while the run goes on and after."""

import datetime
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from adapters import files
from adapters.experiment import run_page, run_record

PAGE = "report.html"


def report(directory: str | os.PathLike[str]) -> pathlib.Path:
    """Writes `report.html` into a run's folder, in place of an earlier one; gives its path.

    The page needs nothing beside it. It has each task's curves, how often the task was drawn and
    how much it counted, scores, sizes of patches, and what the worst task confuses. Of a run that
    goes on it has what is known so far.

    Raises:
      NoRunError: the folder holds no run.
      MetricsError, ColumnsError, ConfusionsError: one of its files is damaged.
      NotWrittenError: the page cannot be written.
    """
    return _write(pathlib.Path(directory))[0]


def followed(
    directory: str | os.PathLike[str], wait: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Writes the page again and again until the run has ended; says each time how far it is.

    `wait` is called with the seconds between two pages. Raises what `report` does.
    """
    while True:
        _, record = _write(pathlib.Path(directory))
        yield run_page.how_far(record)
        if not record.going_on:
            return
        wait(run_page.EVERY)


def _write(directory: pathlib.Path) -> tuple[pathlib.Path, run_record.RunRecord]:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    record = run_record.read(directory)
    path = directory / PAGE
    files.write_bytes(path, run_page.page(record, now).encode("utf-8"))
    return path, record
