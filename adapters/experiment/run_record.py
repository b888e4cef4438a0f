"""What a run's folder tells while the run goes on, and after: read only, whole at any moment."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from adapters.errors import ModelPatchError
from adapters.experiment import confusions
from adapters.experiment.confusions import Confusions
from adapters.experiment.run_files import RESULTS, RUN
from adapters.training import lock, metrics, tidy


class NoRunError(ModelPatchError):
    """A folder that holds no run, or what no run has written."""


class RunRecord(NamedTuple):
    """A run as its files have it.

    Attributes:
      configuration: what defines it, as JSON.
      tasks: their names.
      labels: of the tasks whose labels are known.
      steps: of the whole run.
      records: of its log, so far.
      results: its figures; none before it has ended.
      confused: how the last split that was scored was answered, by task.
      going_on: whether a process is writing it now.
    """

    configuration: Mapping[str, Any]
    tasks: Sequence[str]
    labels: Mapping[str, Sequence[str]]
    steps: int
    records: Sequence[metrics.Record]
    results: Sequence[tidy.Measurement]
    confused: Mapping[str, Confusions]
    going_on: bool

    @property
    def done(self) -> int:
        """The last step that is in the log."""
        return self.records[-1].step if self.records else 0

    @property
    def state(self) -> str:
        """In words: going on, finished, or neither."""
        if self.going_on:
            return "going on"
        return "finished" if self.results else "stopped"


def read(directory: str | os.PathLike[str]) -> RunRecord:
    """What is known of the run in `directory` now.

    Raises NoRunError, MetricsError, ColumnsError or ConfusionsError.
    """
    root = pathlib.Path(directory)
    # Asked first: a run that ends while its files are read is told of once more.
    going_on = lock.is_held(root)
    configuration = _configuration(root)
    try:
        tasks = [task.rpartition(" ")[0] for task in configuration["tasks"]]
        steps = int(configuration["recipe"]["steps"])
        known = configuration.get("data", {})
        labels = {task: list(known[task]["labels"]) for task in tasks if task in known}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoRunError(
            f"{root / RUN} does not say what a run trains, and for how long ({error!r}): "
            "give the folder of a run."
        ) from error
    log, results = root / metrics.FILE, root / RESULTS
    return RunRecord(
        configuration,
        tasks,
        labels,
        steps,
        metrics.read(log) if log.exists() else [],
        tidy.read(results) if results.exists() else [],
        confusions.read(root),
        going_on,
    )


def _configuration(root: pathlib.Path) -> Mapping[str, Any]:
    path = root / RUN
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NoRunError(f"{root} holds no run: it has no {RUN}.") from error
    except ValueError as error:
        raise NoRunError(f"{path} is damaged: {error}.") from error
    if not isinstance(found, Mapping):
        raise NoRunError(f"{path} holds no settings of a run.")
    return found
