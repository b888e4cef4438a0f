"""The exact state of a training run, saved so that a kill at any moment loses no checkpoint.

A checkpoint is a sealed folder `step_00001000` holding `arrays/` (Orbax), `state.json` (the step,
the configuration, the host's state) and `SHA256SUMS`. It is filled under a hidden name and renamed
when whole. One run at a time may write a folder: see `lock`. One process holds every array.
"""

import json
import os
import pathlib
import re
import shutil
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from adapters import errors, files
from adapters.training import arrays as array_files
from adapters.training import host_state, sealed

KEPT = 2
FORMAT = 1
_ABSENT = object()


class CheckpointError(errors.ModelPatchError):
    """A training state cannot be saved or restored."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint is not, byte for byte, what was written."""

    def __init__(self, folder: pathlib.Path, reason: str):
        super().__init__(
            f"the checkpoint {folder} is damaged: {reason}. "
            "Delete this folder to resume from the checkpoint before it, if there is one."
        )
        self.folder = folder


class ConfigurationMismatchError(CheckpointError):
    """A checkpoint was written by a run with other settings."""

    def __init__(self, folder: pathlib.Path, differences: Mapping[str, tuple[Any, Any]]):
        listed = "; ".join(
            f"{field} was {_shown(old)}, is now {_shown(new)}"
            for field, (old, new) in differences.items()
        )
        super().__init__(
            f"the checkpoint {folder} was written with other settings: {listed}. "
            "Resume with the settings it was written with, or choose another output folder."
        )
        self.folder, self.differences = folder, dict(differences)


class Restored(NamedTuple):
    """What `restore` gives back: `arrays` has the template's structure."""

    step: int
    arrays: Any
    host: dict[str, Any]


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
    one run's state after a step is one thing. Leftovers of a killed save are removed.

    Raises:
      CheckpointError: a leaf is no `jax.Array`, or `directory` holds a later step.
      HostStateError: a value of `host` or `configuration` cannot be stored as it is.
      NotWrittenError: the disk is full, say; the checkpoints are as they were.
    """
    root = pathlib.Path(directory)
    last = latest(root)
    if last is not None and step < last:
        raise CheckpointError(
            f"{root} holds step {last}, which is later than step {step}: "
            "resume from it, or choose another output folder."
        )
    if step == last:
        return
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

    Raises:
      ConfigurationMismatchError: it was written with other settings than `configuration`.
      DamagedCheckpointError: its bytes are not those that were written.
      CheckpointError: there is none, or its arrays are not those of `template`.
    """
    root = pathlib.Path(directory)
    step = latest(root)
    if step is None:
        raise CheckpointError(f"{root} holds no checkpoint to resume from.")
    folder = _folder(root, step)
    if reason := sealed.damage(folder):
        raise DamagedCheckpointError(folder, reason)
    state = json.loads((folder / "state.json").read_text())
    if state["format"] != FORMAT:
        raise CheckpointError(
            f"the checkpoint {folder} has format {state['format']}; this version reads {FORMAT}."
        )
    check_configuration(folder, state["configuration"], host_state.plain(configuration))
    leaves = _leaves(template)
    _check_leaves(folder, state["leaves"], _description(leaves))
    read = array_files.read(folder / "arrays", leaves)
    restored = jax.tree.unflatten(jax.tree.structure(template), list(read.values()))
    return Restored(step, restored, host_state.decode(state["host"]))


def _folder(root: pathlib.Path, step: int) -> pathlib.Path:
    return root / f"step_{step:08d}"


def _steps(root: pathlib.Path) -> list[int]:
    matches = [re.fullmatch(r"step_(\d{8,})", path.name) for path in root.glob("step_*")]
    return sorted(int(match[1]) for match in matches if match)


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


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in sorted({*old, *new})}
    return {key: (before, after) for key, (before, after) in pairs.items() if before != after}


def check_configuration(
    folder: pathlib.Path, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Raises ConfigurationMismatchError, naming each field that differs, unless both are one."""
    if differences := _differences(_flat(old), _flat(new)):
        raise ConfigurationMismatchError(folder, differences)


def _check_leaves(folder: pathlib.Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    if differences := _differences(old, new):
        listed = [
            f"{name} was {_shown(before)}, is now {_shown(after)}"
            for name, (before, after) in differences.items()
        ]
        more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
        raise CheckpointError(
            f"the checkpoint {folder} holds other arrays than this run: "
            f"{'; '.join(listed[:5])}{more}. It was written by another version of the code or "
            "from another backbone; choose another output folder."
        )


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        nested = isinstance(value, dict) and value
        flat |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else repr(value)
