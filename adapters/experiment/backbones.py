"""From the name of a backbone, and perhaps a file of weights, to a network with its weights."""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from adapters.backbones import registry
from adapters.backbones.builder import Backbone, Shapes, build
from adapters.backbones.checkpoint import Checkpoint, read_checkpoint
from adapters.backbones.conversion_error import ConversionError
from adapters.backbones.convert import ConventionsNeededError, is_ours, load_checkpoint
from adapters.backbones.entries import EntryNeededError
from adapters.backbones.forms import with_forms
from adapters.backbones.named_weights import Fetched, fetched, is_name
from adapters.backbones.necks import SEPARATOR
from adapters.backbones.pretrained import PRETRAINED, pretrained
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.fingerprint import fingerprint


class WeightsNeededError(ModelPatchError):
    """A layer table was named, and no file with weights for it."""


class WeightsFileError(ModelPatchError):
    """A local checkpoint that cannot be read, or is not the layer table's."""


class WeightsNeedConvertingError(WeightsFileError):
    """A local checkpoint whose conventions are not known."""


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """A backbone ready to run.

    Attributes:
      name: as it was asked for.
      checkpoint: its weights and conventions.
      network: built under those conventions.
      fingerprint: of the weights.
      untrained: paths of a neck's modules that no checkpoint had: their weights are random.
    """

    name: str
    checkpoint: Checkpoint
    network: Backbone
    fingerprint: str
    untrained: frozenset[str] = frozenset()

    @property
    def weights(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """{module path: {leaf: float32 array}}."""
        return {path: dict(leaves) for path, leaves in self.checkpoint.weights.items()}

    @property
    def shapes(self) -> Shapes:
        """{module path: {leaf: shape}}."""
        return {
            path: {name: np.shape(leaf) for name, leaf in leaves.items()}
            for path, leaves in self.checkpoint.weights.items()
        }


def load(name: str, weights: str | os.PathLike[str] | None = None) -> Loaded:
    """Loads pretrained weights by name, or a layer table's weights from a file.

    `weights` are the path of a local file, or a name of `adapters.backbones.named_weights`.

    Either may have a denser last map and a neck, `NAME+stride_16+NECK`; see
    `adapters.backbones.forms`. What the weights do not hold of a neck is drawn from the key 0.

    A file of ours may hold a layer table of its own, a search's say, and `name` be that one's.

    Raises:
      UnknownNameError: `name` is neither pretrained weights nor a layer table.
      WeightsNeededError: `name` is a layer table and `weights` is missing.
      WeightsFileError: the local file cannot be read or is not the table's; of its own type where
        it has to be converted first.
      CarrierError, NamedWeightsError: the weights cannot be fetched.
    """
    own, _, forms = name.partition(SEPARATOR)
    if own in PRETRAINED and weights is None:
        checkpoint = pretrained(own)
    elif own in PRETRAINED or own in registry.TABLES:
        table = registry.table(PRETRAINED[own].table if own in PRETRAINED else own)
        if weights is None:
            raise WeightsNeededError(
                f"{name!r} is a layer table without weights: give a file of them (Keras .h5 or "
                ".keras, PyTorch .pth, TensorFlow .index or .pb, safetensors), or a backbone that "
                "brings its own: "
                f"{', '.join(sorted(PRETRAINED))}.",
                settings=["weights", "backbone"],
            )
        given = Fetched(pathlib.Path(weights), None)
        if is_name(weights):
            given = fetched(os.fspath(weights))
        try:
            checkpoint = _read(given, table, with_forms(table, forms))
        except ConventionsNeededError as error:
            raise WeightsNeedConvertingError(
                f"the weights {weights} do not tell padding, epsilon and pixel scaling by their "
                "names: convert them once, saying by which conventions, and give the file that "
                "comes out.",
                settings=["weights"],
            ) from error
        except EntryNeededError as error:
            raise WeightsNeedConvertingError(
                f"the weights {error} Convert them once, saying which entry, and give the file "
                "that comes out.",
                settings=["weights"],
            ) from error
        except OSError as error:
            raise WeightsFileError(
                f"the weights {os.fspath(weights)} cannot be opened: {error.strerror or error}. "
                "Check the path.",
                settings=["weights"],
            ) from error
        except ModelPatchError as error:
            raise WeightsFileError(
                f"the weights do not serve: {error}", settings=["weights"]
            ) from error
    else:
        checkpoint = _with_its_table(name, weights)
    table = checkpoint.own_table or registry.table(checkpoint.table)
    named = own in PRETRAINED and weights is None
    whole = table if SEPARATOR in table.name and not named else with_forms(table, forms)
    network = build(whole, checkpoint.padding, checkpoint.epsilon)
    added: dict[str, Any] = {}
    if whole is not table:
        checkpoint = dataclasses.replace(checkpoint, table=whole.name)
    if whole.neck != table.neck:
        drawn = jax.jit(network.init)(jax.random.key(0))
        added = {path: leaves for path, leaves in drawn.items() if path not in checkpoint.weights}
        checkpoint = dataclasses.replace(
            checkpoint,
            weights={**checkpoint.weights, **jax.tree.map(np.asarray, added)},
            head=None,
        )
    found = fingerprint(checkpoint.weights)
    return Loaded(name, checkpoint, network, found, frozenset(added))


def _with_its_table(name: str, weights: str | os.PathLike[str] | None) -> Checkpoint:
    """One of ours that holds its layer table too, which is `name` and in no registry."""
    known = {*PRETRAINED, *registry.TABLES}
    if weights is not None and is_ours(path := pathlib.Path(weights)):
        checkpoint = read_checkpoint(path)
        if checkpoint.own_table is not None and checkpoint.table == name:
            return checkpoint
        known.add(checkpoint.table)
    raise UnknownNameError("backbone", name.partition(SEPARATOR)[0], sorted(known))


def _read(given: Fetched, table: LayerTable, in_its_form: LayerTable) -> Checkpoint:
    """A local checkpoint of `table`, or of its form: with its neck, where the file has that."""
    first, second = (in_its_form, table) if in_its_form.neck else (table, in_its_form)
    try:
        return load_checkpoint(given.path, first, given.conventions)
    except ConversionError:
        if first is second:
            raise
        return load_checkpoint(given.path, second, given.conventions)
