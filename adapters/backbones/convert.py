"""From a published checkpoint's tensors to ours: strict both ways, nothing guessed."""

import os
import pathlib
from collections.abc import Mapping

import numpy as np
from absl import logging

from adapters import errors
from adapters.backbones.builder import expected_shapes
from adapters.backbones.checkpoint import Checkpoint, read_checkpoint, stored_description
from adapters.backbones.classifier import Classifier, classifier
from adapters.backbones.conventions import Conventions
from adapters.backbones.conversion_error import ConversionError
from adapters.backbones.entries import EntryNeededError
from adapters.backbones.entries import entry as network_entry
from adapters.backbones.formats import read_weights
from adapters.backbones.naming.known import NAMINGS
from adapters.backbones.naming.naming import Naming
from adapters.backbones.safetensors_file import is_safetensors
from adapters.backbones.stored import Tensor, Tree
from adapters.backbones.table import LayerTable
from adapters.backbones.tensorflow.read import checkpoint_prefix
from adapters.shown import listed, shown

_AND_BACKGROUND = 1001  # ImageNet's classes and one more


class ConventionsNeededError(errors.ModelPatchError):
    """A checkpoint's tensors do not tell its padding, epsilon and pixel scaling."""


def load_checkpoint(
    path: str | os.PathLike[str],
    table: LayerTable,
    conventions: Conventions | None = None,
    licence: str = "not stated",
    entry: str | None = None,
) -> Checkpoint:
    """Reads a checkpoint file of any known format and naming.

    Formats, told apart by content: our own, safetensors, PyTorch state dicts, Keras `.h5`,
    `.weights.h5` and `.keras`, TensorFlow's frozen graphs; and TensorFlow's checkpoints and those
    with an `.index.json`, which are several files. Namings: Keras, torchvision, timm,
    efficientnet-pytorch and TF-slim, for the families that each has (`naming/`).

    Args:
      path: the file, or what the names of a TensorFlow checkpoint's files have in common; nothing
        in it is ever run.
      table: the backbone it must be, width included.
      conventions: needed where the naming does not imply them (timm's Lite0 and V3 exist with
        `TORCH` and, as `tf_...`, with `KERAS` conventions; its V4 with two pixel scalings).
      licence: kept with the weights.
      entry: which network of several in the file (`entries.py`).

    Raises, with the file's name before its words: NotWeightsError, ConversionError,
    EntryNeededError, ConventionsNeededError, CheckpointError, SafetensorsFileError, TorchFileError,
    PickleError, KerasFileError, HDF5Error, TensorFlowFileError, ArchiveError. OSError when the file
    cannot be opened.
    """
    source = pathlib.Path(path)
    with errors.about(source):
        ours = is_ours(source)
        if not ours:
            name = (checkpoint_prefix(source) or source).name
            return convert(read_weights(source), table, conventions, name, licence, entry)
    if entry is not None:
        raise EntryNeededError(
            f"{source} was converted before and holds one network: give no entry.",
            settings=["entry"],
        )
    checkpoint = read_checkpoint(source)
    if checkpoint.table != table.name:
        raise ConversionError(f"{source} holds {checkpoint.table}, but {table.name} was asked for.")
    return checkpoint


def convert(
    tree: Tree,
    table: LayerTable,
    conventions: Conventions | None,
    source: str,
    licence: str,
    entry: str | None = None,
) -> Checkpoint:
    """Renames and lays out a network's tensors; every one must be used and every leaf be filled.

    What is wrapped around the network is found (`entries.py`). Tensors outside it are left aside
    with a line in the log, and so is a classifier that is not one matrix on its features
    (`classifier.py`). The column of a "background" class is removed from the head, and told in
    `label_offset`. Only tensors of the shapes that `table` asks for are read.

    Raises ConversionError, whose `faults` are all that is missing, not expected, of a wrong
    shape or not finite; EntryNeededError, ConventionsNeededError.
    """
    possible = [
        naming
        for naming in NAMINGS
        if table.name.startswith(naming.tables) and naming.names_all(table)
    ]
    found = network_entry(tree, table, possible, entry)
    naming, tensors = found.naming, _own(found.tensors, found.naming)
    conventions = conventions or naming.conventions
    if conventions is None:
        raise ConventionsNeededError(
            f"{naming.name}'s names for {table.name} do not tell how it was trained: pass "
            "conventions= (padding, epsilon, mean and std; see backbones/conventions.py)."
        )
    shapes = expected_shapes(table)
    places = naming.places(table)
    theirs = {
        name: naming.shape(place, shapes[place.path][place.leaf]) for name, place in places.items()
    }
    head = classifier({n: t for n, t in tensors.items() if n not in theirs}, naming, table)
    arrays = _checked(tensors, {**theirs, **head.shapes}, head, naming, table)
    if head.aside:
        logging.info(
            "left aside, as another classifier or what else is not the backbone's: %s.",
            listed([f"{shown(n)} {shown(str(list(tensors[n].shape)))}" for n in head.aside]),
        )
    weights: dict[str, dict[str, np.ndarray]] = {path: {} for path in shapes}
    for name, (path, leaf, _) in places.items():
        weights[path][leaf] = naming.array(arrays[name], shapes[path][leaf])
    label_offset = int(naming.background and head.classes == _AND_BACKGROUND)
    return Checkpoint(
        table=table.name,
        weights=weights,
        head=_converted_head(naming, table, arrays, label_offset) if head.shapes else None,
        padding=conventions.padding,
        epsilon=conventions.epsilon,
        mean=conventions.mean,
        std=conventions.std,
        label_offset=label_offset,
        source=source,
        licence=licence,
    )


def is_ours(path: pathlib.Path) -> bool:
    """Whether a file is a checkpoint that `write_checkpoint` wrote."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        beginning = file.read(16)
    return is_safetensors(beginning) and stored_description(path.read_bytes()) is not None


def _own(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    own = {name: array for name, array in tensors.items() if name.startswith(naming.scope)}
    aside = [name for name in tensors if name not in own]
    if aside:
        logging.info("reading %s; left aside: %s.", naming.scope, listed(aside))
    # PyTorch counts steps beside its averages; frozen statistics have no use for the count.
    return {name: a for name, a in own.items() if not name.endswith(".num_batches_tracked")}


def _converted_head(
    naming: Naming, table: LayerTable, arrays: Mapping[str, np.ndarray], label_offset: int
) -> dict[str, np.ndarray]:
    kernel, bias = (arrays[name] for name in naming.head_places())
    weights = naming.array(kernel, (table.features, bias.size))
    return {
        "w": np.ascontiguousarray(weights[:, label_offset:]),
        "b": np.ascontiguousarray(bias[label_offset:], np.float32),
    }


def _checked(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, tuple[int, ...]],
    head: Classifier,
    naming: Naming,
    table: LayerTable,
) -> dict[str, np.ndarray]:
    """The expected tensors, read."""
    missing = [f"missing {name} {list(expected[name])}" for name in expected if name not in tensors]
    arrays: dict[str, np.ndarray] = {}
    wrong: list[str] = []
    for name in (name for name in expected if name in tensors):
        tensor, shape = tensors[name], expected[name]
        if tuple(tensor.shape) != shape:
            axes = shown(str(list(tensor.shape)))
            wrong.append(f"{name} has shape {axes}, expected {list(shape)}")
        elif tensor.dtype.kind != "f" or tensor.dtype.itemsize > 8:
            wrong.append(f"{name} ({shown(str(tensor.dtype))}) has values that are no floats")
        else:
            arrays[name] = np.asarray(tensor)
            if not np.isfinite(arrays[name]).all():
                wrong.append(f"{name} ({tensor.dtype}) has values that are not finite")
    strangers = [*head.strangers, *(head.aside if missing or wrong else ())]
    extra = [
        f"not expected: {shown(name)} {shown(str(list(tensors[name].shape)))}"
        for name in sorted(strangers)
    ]
    faults = missing + extra + wrong
    if faults:
        raise ConversionError(
            f"the tensors, named as {naming.name} does, are not {table.name}'s "
            f"({len(faults)} faults; is it another width?):",
            faults,
        )
    return arrays
