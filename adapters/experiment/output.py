"""The output folder: never overwritten by accident, one run at a time."""

import contextlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging

from adapters import files
from adapters.errors import ModelPatchError
from adapters.experiment.run_files import RUN
from adapters.training.checkpoint import check_configuration
from adapters.training.lock import lock

_ADDRESS = re.compile(r"[a-z][a-z0-9]+:/")  # as a path spells gs://BUCKET


class OutputFolderError(ModelPatchError):
    """The output folder holds something that this run must not touch."""


class OutputFileError(ModelPatchError):
    """A file that a command should write is there already."""


def new_file(path: str | os.PathLike[str], overwrite: bool | None = None) -> pathlib.Path:
    """A path that nothing lies at yet; or a file, with `overwrite`.

    `overwrite` is None where nobody can ask for it. Raises OutputFileError.
    """
    found = pathlib.Path(path)
    if found.exists() and not (overwrite and found.is_file()):
        offered = overwrite is not None and found.is_file()
        raise OutputFileError(
            f"{found} exists already: {'overwrite it, ' if offered else ''}move it, or choose "
            "another file.",
            settings=["overwrite", "directory"] if offered else ["directory"],
        )
    return found


def write_picture(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a PNG to `path`, where there may be the same one and nothing else.

    Raises OutputFileError.
    """
    target = pathlib.Path(path)
    if target.exists() and (target.is_dir() or target.read_bytes() != content):
        raise OutputFileError(
            f"{target} exists and holds something else; move it away, or choose another file.",
            settings=["directory"],
        )
    files.write_bytes(target, content)


def holds_run(directory: pathlib.Path) -> bool:
    """Whether there is a run to go on with."""
    return (directory / RUN).exists()


@contextlib.contextmanager
def claimed(
    directory: pathlib.Path,
    configuration: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
    extensible: bool = False,
) -> Iterator[None]:
    """Holds `directory` for one run, and writes the run's configuration into it.

    Args:
      directory: made when missing.
      configuration: JSON settings that define the run.
      resume: go on with the run that is there, which must have the same configuration; where there
        is none, one is begun, with a warning.
      overwrite: delete the run that is there. Folders that hold no run are never deleted.
      extensible: whether the run to go on with may become a longer one.

    Raises:
      OutputFolderError: the folder is not empty and neither setting allows what is there.
      ConfigurationMismatchError: the run to resume had other settings.
      FolderInUseError: another run is writing there.
    """
    if resume and overwrite:
        raise OutputFolderError(
            "resume and overwrite exclude each other; give one of them.",
            settings=["resume", "overwrite"],
        )
    if _ADDRESS.match(os.fspath(directory)):
        raise OutputFolderError(
            f"{directory} is on object storage, where only training puts what it makes: choose a "
            "folder of this machine.",
            settings=["directory"],
        )
    with lock(directory):
        record = directory / RUN
        content = [path for path in directory.iterdir() if path.name != ".lock"]
        if content and not record.exists():
            raise OutputFolderError(
                f"{directory} holds files but no run; choose another folder, or empty it yourself.",
                settings=["directory"],
            )
        if content and not (resume or overwrite):
            raise OutputFolderError(
                f"{directory} holds a run already: resume it, overwrite it (which deletes it), or "
                "choose another folder.",
                settings=["resume", "overwrite", "directory"],
            )
        if content and resume:
            _check_same(record, configuration, extensible)
        elif resume:
            # Begun all the same: a job that is queued again and again has one command. Said aloud:
            # the folder's name may be mistyped.
            logging.warning("%s holds no run to go on with: a new one is begun there.", directory)
        if content and overwrite:
            for path in sorted(content, key=lambda path: path.name == RUN):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        files.write_bytes(record, json.dumps(configuration, indent=1).encode() + b"\n")
        yield


def _check_same(record: pathlib.Path, configuration: Mapping[str, Any], extensible: bool) -> None:
    try:
        earlier = json.loads(record.read_bytes())
    except ValueError as error:
        raise OutputFolderError(
            f"{record} is damaged: {error}. Overwrite the run, or choose another folder.",
            settings=["overwrite", "directory"],
        ) from error
    check_configuration(record, earlier, configuration, extensible)
