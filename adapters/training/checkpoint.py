"""The exact state of a training run, saved so that a kill at any moment loses no checkpoint.

A checkpoint is a sealed folder `step_00001000` holding `arrays/` (Orbax), `state.json` (the step,
the configuration, the host's state) and `SHA256SUMS`. It is filled under a hidden name and renamed
when whole. One run at a time may write a folder: see `lock`. Of several processes that train
together the main one writes and reads it, with arrays of its own.
"""

import json
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from adapters import errors, files
from adapters.training import arrays as array_files
from adapters.training import differences, host_state, sealed
from adapters.training.extension import beyond_length

KEPT = 2
FORMAT = 3  # 2 had iterators' states for counts of batches; 1 learning rates in other units


class CheckpointError(errors.ModelPatchError):
    """A training state cannot be saved or restored."""


class DamagedCheckpointError(CheckpointError):
    """No checkpoint of a run is, byte for byte, what was written."""

    def __init__(self, reasons: Mapping[pathlib.Path, str]):
        listed = "; ".join(f"{folder}: {reason}" for folder, reason in reasons.items())
        super().__init__(
            f"no checkpoint can be read ({listed}). Overwrite the run to start it anew, or choose "
            "another output folder.",
            settings=["overwrite", "directory"],
        )
        self.reasons = dict(reasons)


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint is damaged, and the run goes on from the one before."""


class ConfigurationMismatchError(CheckpointError):
    """A run that is to go on was begun with other settings, or on other data."""

    def __init__(self, place: pathlib.Path, differing: differences.Differences):
        super().__init__(
            f"{place} was written by a run with other settings or data: "
            f"{differences.in_words(differing)}. Resume with what it was begun with, or choose "
            "another output folder."
        )
        self.place, self.differences = place, dict(differing)


class Restored(NamedTuple):
    """What `restore` gives back: arrays of the template's structure, and the old configuration."""

    step: int
    arrays: Any
    host: dict[str, Any]
    configuration: dict[str, Any]


def save(
    directory: str | os.PathLike[str],
    step: int,
    arrays: Any,
    host: Mapping[str, Any],
    configuration: Mapping[str, Any],
) -> None:
    """Saves the state after `step` steps as `directory/step_XXXXXXXX`; keeps the last two.

    `arrays` is a pytree of `jax.Array`; `host` holds JSON values and bytes, at any depth;
    `configuration` holds JSON values that define the run. A step already saved is left as it is:
    one run's state after a step is one thing. Leftovers of a killed save are removed, and so are
    damaged checkpoints of this step and later ones.

    Raises:
      CheckpointError: a leaf is no `jax.Array`, or `directory` holds a later step.
      HostStateError: a value of `host` or `configuration` cannot be stored as it is.
      NotWrittenError: the disk is full, say; the checkpoints are as they were.
    """
    root = pathlib.Path(directory)
    reached = [known for known in _steps(root) if known >= step]
    whole = [known for known in reached if not sealed.damage(_folder(root, known))]
    if whole[-1:] == [step]:
        return
    if whole:
        raise CheckpointError(
            f"{root} holds step {whole[-1]}, which is later than step {step}: "
            "resume from it, or choose another output folder."
        )
    leaves = _leaves(arrays)
    state = {
        "format": FORMAT,
        "step": step,
        "configuration": host_state.plain(configuration),
        "host": host_state.encode(host),
        "leaves": _description(leaves),
    }
    root.mkdir(parents=True, exist_ok=True)
    _clean(root)
    for damaged in reached:
        _remove(_folder(root, damaged))
    with files.new_directory(_folder(root, step)) as folder:
        array_files.write(folder / "arrays", leaves)
        (folder / "state.json").write_text(json.dumps(state, indent=1))
        sealed.seal(folder)
    for old in _steps(root)[:-KEPT]:
        _remove(_folder(root, old))


def latest(directory: str | os.PathLike[str]) -> int | None:
    """The last step saved in `directory`; None when there is none."""
    steps = _steps(pathlib.Path(directory))
    return steps[-1] if steps else None


def restore(
    directory: str | os.PathLike[str], template: Any, configuration: Mapping[str, Any]
) -> Restored:
    """Reads the last checkpoint; every array takes the place and sharding of its `template`.

    A damaged one is left out, with a DamagedCheckpointWarning, for the one before.

    Raises:
      ConfigurationMismatchError: it was written with other settings than `configuration`, and more
        differs than how long the run is; see `extension`.
      DamagedCheckpointError: there are some, and the bytes of none are those that were written.
      CheckpointError: there is none, or its arrays are not those of `template`.
    """
    root = pathlib.Path(directory)
    step = _last_whole(root)
    folder = _folder(root, step)
    state = json.loads((folder / "state.json").read_text())
    if state["format"] != FORMAT:
        raise CheckpointError(
            f"the checkpoint {folder} has format {state['format']}; this version reads {FORMAT}. "
            "Resume with the version that wrote it, or choose another output folder."
        )
    check_configuration(
        folder, state["configuration"], host_state.plain(configuration), extensible=True
    )
    leaves = _leaves(template)
    _check_leaves(folder, state["leaves"], _description(leaves))
    read = array_files.read(folder / "arrays", leaves)
    restored = jax.tree.unflatten(jax.tree.structure(template), list(read.values()))
    return Restored(step, restored, host_state.decode(state["host"]), state["configuration"])


def _folder(root: pathlib.Path, step: int) -> pathlib.Path:
    return root / f"step_{step:08d}"


def _steps(root: pathlib.Path) -> list[int]:
    matches = [re.fullmatch(r"step_(\d{8,})", path.name) for path in root.glob("step_*")]
    return sorted(int(match[1]) for match in matches if match)


def _last_whole(root: pathlib.Path) -> int:
    """The last step whose checkpoint is what was written; warns of later ones."""
    steps = _steps(root)
    if not steps:
        raise CheckpointError(f"{root} holds no checkpoint to resume from.")
    reasons: dict[pathlib.Path, str] = {}
    for step in reversed(steps):
        folder = _folder(root, step)
        reason = sealed.damage(folder)
        if reason is None:
            for damaged, said in reasons.items():
                warnings.warn(
                    f"the checkpoint {damaged} is damaged ({said}): going on from step {step}",
                    DamagedCheckpointWarning,
                    stacklevel=3,
                )
            return step
        reasons[folder] = reason
    raise DamagedCheckpointError(reasons)


def _remove(folder: pathlib.Path) -> None:
    """Hides the folder before emptying it: a kill in between leaves no half checkpoint."""
    hidden = folder.with_name(f".{folder.name}.removed")
    os.rename(folder, hidden)
    shutil.rmtree(hidden)


def _clean(root: pathlib.Path) -> None:
    for leftover in root.glob(".step_*"):
        shutil.rmtree(leftover)


def _leaves(tree: Any) -> dict[str, jax.Array]:
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}
    for name, leaf in leaves.items():
        if not isinstance(leaf, jax.Array):
            raise CheckpointError(
                f"arrays{name} is a {type(leaf).__name__}, not a jax.Array; keep it in `host`."
            )
    return leaves


def _description(leaves: Mapping[str, jax.Array]) -> dict[str, str]:
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in leaves.items()}


def check_configuration(
    place: pathlib.Path, old: Mapping[str, Any], new: Mapping[str, Any], extensible: bool = False
) -> None:
    """Raises ConfigurationMismatchError, naming each field that differs, unless both are one.

    What is `extensible` may go on for longer than it was begun with.
    """
    differing = differences.between(differences.flat(old), differences.flat(new))
    if extensible:
        differing = beyond_length(differing)
    if differing:
        raise ConfigurationMismatchError(place, differing)


def _check_leaves(folder: pathlib.Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    if differing := differences.between(old, new):
        raise CheckpointError(
            f"the checkpoint {folder} holds other arrays than this run, whose settings and data "
            f"are the same: {differences.in_words(differing)}. Another version of the code wrote "
            "it; choose another output folder."
        )
