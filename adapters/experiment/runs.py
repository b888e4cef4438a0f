"""Many runs in one folder, each done once: the finished ones are only read."""

import pathlib
import shutil
import time
from collections.abc import Sequence

from absl import logging

from adapters.experiment import output, training_run
from adapters.experiment.results import SHARED_BACKBONE
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import Settings
from adapters.training import cluster, interrupt, loop, tidy
from adapters.training.progress import duration
from tasks.task import Task


class Runs:
    """Does runs in turn and says how long the rest will take.

    A run is finished when its folder holds `results.csv`; its checkpoints are dropped then.
    """

    def __init__(self, directory: pathlib.Path, steps: list[int]):
        """`steps` are those of every run to come.

        Raises ClusterError where several processes train together.
        """
        cluster.check_alone("a row of runs")
        self._directory = directory
        self._done, self._total, self._steps_left = 0, len(steps), sum(steps)
        self._steps_timed, self._seconds = 0, 0.0

    def one(
        self,
        tasks: Sequence[Task],
        settings: Settings,
        folder: pathlib.Path,
        command: str,
        test: bool,
    ) -> list[tidy.Measurement]:
        """The results of a run in `folder`, done now if they are not there.

        `command` is what repeats it, in words; `test`: whether it opens the test splits; without,
        its patch files are dropped too.

        Raises StoppedError when a signal stopped it; the same call goes on from there.
        """
        steps = settings.recipe.steps
        if not (folder / RESULTS).exists():
            logging.info(
                "run %d of %d (%s left): %s",
                *(self._done + 1, self._total, self._left()),
                folder.relative_to(self._directory),
            )
            started = time.monotonic()
            try:
                training_run.run(
                    *(tasks, settings, folder, command),
                    resume=output.holds_run(folder),
                    test=test,
                )
            except interrupt.StoppedError as error:
                raise interrupt.StoppedError(
                    f"stopped after {self._done} of {self._total} runs; the same command goes on "
                    f"from here. ({error})"
                ) from error
            self._seconds += time.monotonic() - started
            self._steps_timed += steps
        self._done += 1
        self._steps_left -= steps
        _drop_what_is_large(folder, test)
        return tidy.read(folder / RESULTS)

    def _left(self) -> str:
        if not self._steps_timed:
            return "time unknown"
        return f"about {duration(self._steps_left * self._seconds / self._steps_timed)}"


def _drop_what_is_large(folder: pathlib.Path, test: bool) -> None:
    if (folder / loop.CHECKPOINTS).exists():
        shutil.rmtree(folder / loop.CHECKPOINTS)
    if not test:
        for path in [*folder.glob("*.patch"), folder / SHARED_BACKBONE]:
            path.unlink(missing_ok=True)
