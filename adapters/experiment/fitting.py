"""Trains patches, and holds what came out: the library's first verb."""

import os
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adapters import files
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.experiment import chosen_tasks, results
from adapters.experiment.calls import fit_call
from adapters.experiment.chosen_tasks import Wanted
from adapters.experiment.mirror import Mirror, is_address
from adapters.experiment.opening import opened
from adapters.experiment.output import OutputFolderError
from adapters.experiment.predictor import Predictor
from adapters.experiment.settings import DEFAULTS, SettingError, settings_of
from adapters.experiment.task_heads import with_head
from adapters.experiment.training_run import Run
from adapters.patches.contract import Patch
from adapters.patches.registry import text_of
from adapters.preprocessing import Preprocessing
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes
from adapters.training import cluster
from adapters.training.interrupt import StoppedError
from adapters.training.loop import Record
from adapters.training.report import Row


class Fitted:
    """Trained patches, by the names of their tasks: `fitted["digits"].predict(images)`.

    Attributes:
      rows: figures, by task: accuracies, bytes, shares of the network.
      directory: where the files are; `save` puts them elsewhere.
    """

    def __init__(self, run: Run, directory: pathlib.Path, patch: Patch | None):
        self.rows: list[Row] = run.rows
        self.directory = directory
        self._run, self._patch = run, patch
        self._opened: dict[str, Predictor] = {}

    @property
    def summary(self) -> str:
        """The rows as a table of text, with their means."""
        return results.summary(self.rows)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Copies the patch files, tables, plots and metrics to a new folder, whole or not at all.

        Raises OutputFolderError where there is one that holds something, and NotWrittenError.
        """
        target = pathlib.Path(directory)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputFolderError(
                f"{target} exists already: choose another folder.", settings=["directory"]
            )
        with files.new_directory(target) as aside:
            shutil.copytree(
                self.directory, aside, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lock")
            )

    @property
    def predictors(self) -> dict[str, Predictor]:
        """Every task's patch, read from its file through every check."""
        return {task: self[task] for task in self}

    def __getitem__(self, task: str) -> Predictor:
        """The patch of a task; raises UnknownNameError, with near names, where there is none."""
        if task not in self._opened:
            if task not in list(self):
                raise UnknownNameError("fitted task", task, list(self))
            path = self.directory / f"{task}.patch"
            data = read_bytes(path)
            with naming(path):
                size = Preprocessing.from_json(decode_patch(data).preprocessing).size
            network = self._run.networks.get(size)
            ready = opened(path, data, self._run.backbone, patch=self._patch, network=network)
            self._opened[task] = Predictor(ready, path)
        return self._opened[task]

    def __iter__(self) -> Iterator[str]:
        return (row.task for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return self.summary


def fit(
    tasks: Wanted | Sequence[Wanted],
    *,
    patch: str | Patch = DEFAULTS["patch"],
    directory: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    test: bool = True,
    on_record: Callable[[Record], object] | None = None,
    command: str | None = None,
    **settings: Any,
) -> Fitted:
    """Trains a patch for each task, jointly, on one frozen backbone.

    Within `adapters.cluster` several processes train together; what the main one returns has the
    patches, what the others return has none.

    Args:
      tasks: a task or suite by name (`folder:PATH` for a folder of images), the path of such a
        folder, a `Task`, arrays `(images uint8 [N, H, W, 3], labels [N])`, or a list of these.
      patch: what each task trains, as a spec or as a `Patch`.
      directory: for patch files, checkpoints, metrics and plots; a temporary one without, which
        goes with what is returned. On object storage (`gs://BUCKET/RUN`), it gets a copy of a
        temporary one after each checkpoint and at the end.
      resume: go on with the run in `directory`, which had the same settings and data; where there
        is none, one is begun, with a warning. More `steps`, or other `minutes` or `patience`, make
        it longer: see docs/training.md.
      overwrite: delete the run in `directory` and start anew.
      test: whether to score the test splits; without, nothing but their digest is taken.
      on_record: called with the `Record` of each step.
      command: recorded beside the results, by default this call.
      settings: fields of `Settings` and of `Recipe` by name: `steps=300`, `size=96`, `seed=1`.

    Raises:
      UnknownNameError: a task, patch, backbone or setting nobody knows; near names are offered.
      SettingError, NoTaskError, ArraysError, SpecError: a value that cannot work.
      OutputFolderError, ConfigurationMismatchError: `directory` holds something else.
      DivergedError: a loss is not finite.
      StoppedError: a signal stopped it; `resume` goes on.
      StorageError: object storage cannot be read or written.
    """
    if directory is None and cluster.current().count > 1:
        raise SettingError("directory", "is needed by several processes: the same one for all.")
    if directory is None and (resume or overwrite):
        raise SettingError("directory", "is needed to go on with a run in it, or to overwrite it.")
    if on_record is not None and not callable(on_record):
        raise SettingError("on_record", f"is {on_record!r}: give a function that takes a `Record`.")
    wanted = chosen_tasks.chosen(tasks, settings.get("data_dir"))
    text = patch if isinstance(patch, str) else text_of(patch)
    own = None if isinstance(patch, str) else patch
    given = settings_of(patch=text, **settings)
    wanted = with_head(wanted, given.head)
    member, mirror = cluster.current(), None
    address = os.fspath(directory) if directory is not None and is_address(directory) else ""
    temporary = directory is None or bool(address)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="modelpatch.") if temporary else directory or "")
    try:
        if address and member.main:
            mirror = Mirror(address, folder)
        member.by_main(mirror.fetch if mirror else lambda: None)
        run = Run(
            wanted,
            given,
            folder,
            command or fit_call(chosen_tasks.names(tasks), given),
            resume=resume,
            overwrite=overwrite,
            test=test,
            patch=own,
            saved=mirror.push if mirror else lambda: None,
        )
        for record in run:
            if on_record is not None:
                on_record(record)
        member.by_main(mirror.push if mirror else lambda: None)
    except BaseException as error:
        if address and isinstance(error, ModelPatchError):
            error.args = (str(error).replace(os.fspath(folder), address), *error.args[1:])
        # A run that was stopped says where its state is, which may be here alone.
        if address or (temporary and not isinstance(error, StoppedError)):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    fitted = Fitted(run, folder, own)
    if temporary:
        weakref.finalize(fitted, shutil.rmtree, folder, ignore_errors=True)
    return fitted
