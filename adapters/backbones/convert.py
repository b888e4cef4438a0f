"""From a published checkpoint's tensors to ours: strict both ways, nothing guessed."""

import io
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import safetensors
import safetensors.numpy
from absl import logging

from adapters import archives, errors
from adapters.backbones.builder import expected_shapes
from adapters.backbones.checkpoint import Checkpoint, read_checkpoint, stored_description
from adapters.backbones.conventions import Conventions
from adapters.backbones.keras_file import read_keras_file
from adapters.backbones.naming.known import NAMINGS
from adapters.backbones.naming.naming import Naming
from adapters.backbones.table import LayerTable
from adapters.backbones.tensorflow.bundle import read_bundle
from adapters.backbones.tensorflow.read import (
    checkpoint_prefix,
    is_tensorflow_file,
    read_tensorflow_file,
)
from adapters.backbones.torch_file import read_torch_file


class ConversionError(errors.ModelPatchError):
    """A checkpoint's tensors are not those of the layer table: `faults` names every one."""

    def __init__(self, message: str, faults: Sequence[str] = ()):
        shown = [f"\n  {fault}" for fault in faults[:_SHOWN]]
        rest = [f"\n  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        super().__init__("".join([message, *shown, *rest]))
        self.faults = tuple(faults)


_SHOWN = 20
_AND_BACKGROUND = 1001  # ImageNet's classes and one more


class ConventionsNeededError(errors.ModelPatchError):
    """A checkpoint's tensors do not tell its padding, epsilon and pixel scaling."""


def load_checkpoint(
    path: str | os.PathLike[str],
    table: LayerTable,
    conventions: Conventions | None = None,
    licence: str = "not stated",
) -> Checkpoint:
    """Reads a checkpoint file of any known format and naming.

    Formats, told apart by content: our own, safetensors, PyTorch state dicts, Keras `.h5`,
    `.weights.h5` and `.keras`, TensorFlow's frozen graphs; and TensorFlow's checkpoints, which are
    several files. Namings: Keras, torchvision, timm, efficientnet-pytorch and TF-slim, for the
    families that each has (`naming/`).

    Args:
      path: the file, or what the names of a TensorFlow checkpoint's files have in common; nothing
        in it is ever run.
      table: the backbone it must be, width included.
      conventions: needed where the naming does not imply them (timm's Lite0 and V3 exist with
        `TORCH` and, as `tf_...`, with `KERAS` conventions; its V4 with two pixel scalings).
      licence: kept with the weights.

    Raises ConversionError, ConventionsNeededError, CheckpointError, TorchFileError, PickleError,
    KerasFileError, TensorFlowFileError, ArchiveError; OSError when the file cannot be opened.
    """
    source = pathlib.Path(path)
    prefix = checkpoint_prefix(source)
    if prefix is not None:
        return convert(read_bundle(prefix), table, conventions, prefix.name, licence)
    data = source.read_bytes()
    if not _is_safetensors(data) or stored_description(data) is None:
        return convert(read_tensors(data), table, conventions, source.name, licence)
    checkpoint = read_checkpoint(source)
    if checkpoint.table != table.name:
        raise ConversionError(f"{source} holds {checkpoint.table}, but {table.name} was asked for.")
    return checkpoint


def convert(
    tensors: Mapping[str, np.ndarray],
    table: LayerTable,
    conventions: Conventions | None,
    source: str,
    licence: str,
) -> Checkpoint:
    """Renames and lays out `tensors`; every one must be used and every leaf be filled.

    Tensors outside the network's scope, where the naming has one, are left aside with a line in the
    log. The column of a "background" class is removed from the head, and told in `label_offset`.

    Raises ConversionError, whose `faults` are all that is missing, not expected, of a wrong
    shape or not finite; ConventionsNeededError.
    """
    naming = _naming(tensors, table)
    tensors = _own(tensors, naming)
    conventions = conventions or naming.conventions
    if conventions is None:
        raise ConventionsNeededError(
            f"{naming.name}'s names for {table.name} do not tell how it was trained: pass "
            "conventions= (padding, epsilon, mean and std; see backbones/conventions.py)."
        )
    shapes = expected_shapes(table)
    places = naming.places(table)
    head = _head(naming, table, tensors)
    theirs = {
        name: naming.shape(place, shapes[place.path][place.leaf]) for name, place in places.items()
    }
    _check(tensors, theirs | head, naming, table)
    weights: dict[str, dict[str, np.ndarray]] = {path: {} for path in shapes}
    for name, (path, leaf, _) in places.items():
        weights[path][leaf] = naming.array(tensors[name], shapes[path][leaf])
    label_offset = int(
        bool(head) and naming.background and _classes(naming, tensors) == _AND_BACKGROUND
    )
    return Checkpoint(
        table=table.name,
        weights=weights,
        head=_converted_head(naming, table, tensors, label_offset) if head else None,
        padding=conventions.padding,
        epsilon=conventions.epsilon,
        mean=conventions.mean,
        std=conventions.std,
        label_offset=label_offset,
        source=source,
        licence=licence,
    )


def read_tensors(data: bytes) -> Mapping[str, np.ndarray]:
    """Reads the tensors of a file by their published names; its format is told by content."""
    if _is_safetensors(data):
        try:
            return safetensors.numpy.load(data)
        except KeyError as error:  # a dtype that NumPy has not
            raise ConversionError(
                f"the safetensors file holds {error} values: convert them to float32 first."
            ) from error
        except (safetensors.SafetensorError, ValueError) as error:
            raise ConversionError(f"the safetensors file is damaged: {error}.") from error
    if data.startswith(b"\x89HDF\r\n\x1a\n") or _is_keras_zip(data):
        return read_keras_file(data)
    if is_tensorflow_file(data):
        return read_tensorflow_file(data)
    return read_torch_file(data)


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{"


def _is_keras_zip(data: bytes) -> bool:
    if not data.startswith(b"PK"):
        return False
    members = archives.iterate_members(io.BytesIO(data), "config.json", "config.json")
    return any(name == "config.json" for name, _ in members)


def _naming(tensors: Mapping[str, np.ndarray], table: LayerTable) -> Naming:
    """The naming that has the stem's kernel."""
    possible = [naming for naming in NAMINGS if table.name.startswith(naming.tables)]
    for naming in possible:
        if next(iter(naming.places(table))) in tensors:
            return naming
    raise ConversionError(
        f"the tensors are named like none of the code bases known to have {table.name} "
        f"({', '.join(naming.name for naming in possible) or 'none is'}); "
        f"they begin with {', '.join(list(tensors)[:3]) or 'nothing'}."
    )


def _own(tensors: Mapping[str, np.ndarray], naming: Naming) -> dict[str, np.ndarray]:
    own = {name: array for name, array in tensors.items() if name.startswith(naming.scope)}
    aside = [name for name in tensors if name not in own]
    if aside:
        logging.info("reading %s; left aside: %s.", naming.scope, ", ".join(aside))
    return own


def _head(
    naming: Naming, table: LayerTable, tensors: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    """Expected shapes of the head's tensors; empty when the file has none of them."""
    places = naming.head_places()
    kernel, bias = places
    if kernel not in tensors and bias not in tensors:
        return {}
    classes = _classes(naming, tensors)
    return {kernel: naming.shape(places[kernel], (table.features, classes)), bias: (classes,)}


def _classes(naming: Naming, tensors: Mapping[str, np.ndarray]) -> int:
    _, bias = naming.head_places()
    return tensors[bias].size if bias in tensors else 0


def _converted_head(
    naming: Naming, table: LayerTable, tensors: Mapping[str, np.ndarray], label_offset: int
) -> dict[str, np.ndarray]:
    kernel, bias = (tensors[name] for name in naming.head_places())
    weights = naming.array(kernel, (table.features, bias.size))
    return {
        "w": np.ascontiguousarray(weights[:, label_offset:]),
        "b": np.ascontiguousarray(bias[label_offset:], np.float32),
    }


def _check(
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[int, ...]],
    naming: Naming,
    table: LayerTable,
) -> None:
    # PyTorch counts steps beside its averages; frozen statistics have no use for the count.
    found = {name for name in tensors if not name.endswith(".num_batches_tracked")}
    faults = [f"missing {name} {list(expected[name])}" for name in expected if name not in found]
    faults += [f"not expected: {n} {list(tensors[n].shape)}" for n in sorted(found - set(expected))]
    for name in (name for name in expected if name in found):
        tensor, shape = tensors[name], expected[name]
        if tensor.shape != shape:
            faults.append(f"{name} has shape {list(tensor.shape)}, expected {list(shape)}")
        elif tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
            faults.append(f"{name} ({tensor.dtype}) has values that are no finite floats")
    if faults:
        raise ConversionError(
            f"the tensors, named as {naming.name} does, are not {table.name}'s "
            f"({len(faults)} faults; is it another width?):",
            faults,
        )
