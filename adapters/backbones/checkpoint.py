"""Converted weights with all that must travel with them, and the one file they are kept in."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import safetensors.numpy

from adapters import errors, files
from adapters.backbones import written_table
from adapters.backbones.safetensors_file import SafetensorsFileError, metadata
from adapters.backbones.sites import sites
from adapters.backbones.table import LayerTable
from adapters.fingerprint import fingerprint
from adapters.shown import shown_value

Weights = Mapping[str, Mapping[str, np.ndarray]]

_KEY = "modelpatch_checkpoint_1"  # the number changes with names or layouts
_HEAD = "head"
_TABLE = "own_table"
_PREDICTS = "predicts"


class CheckpointError(errors.ModelPatchError):
    """A checkpoint file is damaged, or is not a checkpoint of ours."""


@dataclasses.dataclass(frozen=True)
class Predicts:
    """What a published head predicts that is no classifier.

    Attributes:
      head: its kind with its settings, as a task says it: `ssdlite(anchors=tensorflow)`.
      labels: in its order.
      size: side of the images that it was trained on, pixels.
    """

    head: str
    labels: tuple[str, ...]
    size: int


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A published backbone in this project's names and layouts.

    Attributes:
      table: the layer table's name.
      weights: float32, norm statistics included.
      head: the original classifier `{"w": [features, classes], "b": [classes]}`, if there is one;
        or leaves of another head, as a patch file names them: `predicts` says of which.
      padding, epsilon, mean, std: see `conventions.Conventions`.
      label_offset: 1 when the published head's class 0 was "background" (removed here), else 0.
      source: where the weights came from, for people.
      licence: as that source states it.
      own_table: the layer table itself, where the registry has none of that name.
      predicts: what the head predicts, unless it is a classifier of classes without names.
    """

    table: str
    weights: Weights
    head: Mapping[str, np.ndarray] | None
    padding: str
    epsilon: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    label_offset: int
    source: str
    licence: str
    own_table: LayerTable | None = None
    predicts: Predicts | None = None


def content_digest(checkpoint: Checkpoint) -> str:
    """The sha256 of all that decides an answer: weights, head and conventions, but no words."""
    words = ("source", "licence")
    about = {name: value for name, value in _about(checkpoint).items() if name not in words}
    return _digest(about, _modules(checkpoint))


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Writes one safetensors file: equal checkpoints give equal bytes.

    Raises NotWrittenError.
    """
    about, modules = _about(checkpoint), _modules(checkpoint)
    described = _canonical({"about": about, "digest": _digest(about, modules)})
    tensors = {
        f"{module}/{name}": np.ascontiguousarray(leaf)
        for module, leaves in modules.items()
        for name, leaf in leaves.items()
    }
    # One metadata key: safetensors writes several in random order.
    files.write_bytes(path, safetensors.numpy.save(tensors, metadata={_KEY: described}))


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads what `write_checkpoint` wrote, and checks all of it against its digest.

    Raises CheckpointError when the file is damaged or is something else, OSError when it cannot be
    opened.
    """
    data = pathlib.Path(path).read_bytes()
    with errors.about(path):
        described = stored_description(data)
    if described is None:
        raise CheckpointError(f"{path} is not a checkpoint written by this version of modelpatch.")
    modules: dict[str, dict[str, np.ndarray]] = {}
    try:
        for key, leaf in safetensors.numpy.load(data).items():
            inside = key.startswith(f"{_HEAD}/")  # whose leaves may have such names themselves
            module, name = key.split("/", 1) if inside else key.rsplit("/", 1)
            modules.setdefault(module, {})[name] = leaf
        content = json.loads(described)
        about, stored = content["about"], content["digest"]
        intact = _digest(about, modules) == stored
        head = modules.pop(_HEAD, None)
        about["mean"], about["std"] = tuple(about["mean"]), tuple(about["std"])
        if _TABLE in about:
            about[_TABLE] = written_table.read(about[_TABLE])
            _check_shapes(about[_TABLE], modules)
        if _PREDICTS in about:
            told = about[_PREDICTS]
            about[_PREDICTS] = Predicts(told["head"], tuple(told["labels"]), told["size"])
        checkpoint = Checkpoint(weights=modules, head=head, **about)
    except written_table.WrittenTableError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: it is damaged and cannot be read ({shown_value(str(error))})."
        ) from error
    if not intact:
        raise CheckpointError(f"{path} is damaged: its content does not match its digest.")
    return checkpoint


def stored_description(data: bytes) -> str | None:
    """The description inside a safetensors file, or None when it is not a checkpoint of ours.

    Raises CheckpointError when `data` is no intact safetensors file at all.
    """
    try:
        return metadata(data).get(_KEY)
    except SafetensorsFileError as error:
        raise CheckpointError(str(error)) from error


def _check_shapes(table: LayerTable, weights: Weights) -> None:
    for site in sites(table):
        found = {name: leaf.shape for name, leaf in weights.get(site.path, {}).items()}
        if not site.leaves.items() <= found.items():
            raise written_table.WrittenTableError(
                f"its layer table has {site.path} with {shown_value(dict(site.leaves))}, and its "
                f"weights have {shown_value(found)}."
            )


def _about(checkpoint: Checkpoint) -> dict[str, object]:
    own, told = checkpoint.own_table, checkpoint.predicts
    return (
        {
            field.name: getattr(checkpoint, field.name)
            for field in dataclasses.fields(checkpoint)
            if field.name not in ("weights", "head", _TABLE, _PREDICTS)
        }
        | ({_TABLE: written_table.written(own)} if own is not None else {})
        | ({_PREDICTS: dataclasses.asdict(told)} if told is not None else {})
    )


def _modules(checkpoint: Checkpoint) -> Weights:
    head = {} if checkpoint.head is None else {_HEAD: checkpoint.head}
    return {**checkpoint.weights, **head}


def _digest(about: Mapping[str, object], modules: Weights) -> str:
    return hashlib.sha256(f"{_canonical(about)}{fingerprint(modules)}".encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
