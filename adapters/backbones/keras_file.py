"""Reading the weights of Keras models (`.h5`, `.weights.h5`, `.keras`) without Keras.

Three layouts exist. Keras 2's HDF5 names groups after layers and data sets after weights; its full
models keep them below `model_weights`. Keras 3 (`.weights.h5`, and inside `.keras`) names groups
after classes with a counter, `layers/conv2d_3/vars/0`; the layer's name is an attribute beside the
values or, before Keras 3.6, only to be had from the order of layers in `config.json`. In each, a
model may hold another model as a layer.
"""

import collections
import io
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np
from absl import logging

from adapters import archives, errors


class KerasFileError(errors.ModelPatchError):
    """A Keras file is damaged, or holds no weights, or several models."""


def read_keras_file(data: bytes) -> dict[str, np.ndarray]:
    """Gives the tensors of a model as `{"Conv1/kernel": array}`, by layer and weight.

    When exactly one layer of the model is itself a model, its tensors are given, and the layers
    around it are left aside (a new head on a published backbone). Weights are called `kernel, bias,
    gamma, beta, moving_mean, moving_variance` whatever Keras wrote them.

    Raises KerasFileError.
    """
    try:
        names: dict[str, str] = {}
        if data.startswith(b"PK"):
            members = dict(archives.iterate_members(io.BytesIO(data)))
            names = _layer_groups(json.loads(members["config.json"]))
            data = members["model.weights.h5"]
        with h5py.File(io.BytesIO(data), "r") as file:
            return _chosen(_tensors(file, names))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise KerasFileError(f"the Keras file cannot be read ({error}).") from error


class _Tensor(NamedTuple):
    """`outer` is the layer of the outermost model, `layer` the innermost that owns the weight."""

    outer: str
    layer: str
    weight: str
    values: np.ndarray


def _chosen(tensors: Iterator[_Tensor]) -> dict[str, np.ndarray]:
    layers: dict[str, dict[str, dict[str, np.ndarray]]] = collections.defaultdict(dict)
    for outer, layer, weight, values in tensors:
        layers[outer].setdefault(layer, {})[weight] = values
    models = [outer for outer, inner in layers.items() if len(inner) > 1]
    if not layers or len(models) > 1:
        raise KerasFileError(f"the file holds {len(models)} models ({models}): save one alone.")
    if not models:
        flat = {outer: weights for outer, inner in layers.items() for weights in inner.values()}
    else:
        flat = layers.pop(models[0])
        logging.info("reading %s; left aside: %s.", models[0], ", ".join(layers) or "nothing")
    return {f"{layer}/{name}": array for layer, w in flat.items() for name, array in w.items()}


def _tensors(file: h5py.File, names: dict[str, str]) -> Iterator[_Tensor]:
    root = file.get("model_weights", file)
    arrays: dict[str, h5py.Dataset] = {}

    # Follows hard links alone, so that nothing outside this file is read.
    def collect(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            _refuse_unusual(path, item)
            arrays[path] = item

    root.visititems(collect)
    for path, values in arrays.items():
        parts = path.split("/")
        if parts[0] == "layers" and parts[-2] == "vars":
            weights = _WEIGHTS.get(len(root[path].parent))
            name = root[path].parent.attrs.get("name", names.get(path.rsplit("/", 2)[0]))
            if weights is None or name is None:
                raise KerasFileError(
                    f"nothing says which layer {path} belongs to: save the model with Keras 3.6 "
                    "or later, or as .keras or .h5."
                )
            outer = parts[1] if parts.count("layers") > 1 else name
            yield _Tensor(outer, name, weights[int(parts[-1])], values[()])
        elif parts[0] not in ("optimizer", "optimizer_weights", "_layer_checkpoint_dependencies"):
            weight = parts[-1].split(":")[0].removeprefix("depthwise_")
            yield _Tensor(parts[0], parts[-2], weight, values[()])


# Keras 3 numbers a layer's weights: trainable ones first, in the order they were made.
_WEIGHTS = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}


def _refuse_unusual(path: str, values: h5py.Dataset) -> None:
    if values.external or values.is_virtual or values.nbytes > archives.MEMBER_LIMIT:
        raise KerasFileError(
            f"{path} is kept in another file, or takes {values.nbytes} bytes: refused."
        )


def _layer_groups(model: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """HDF5 group to layer name, as Keras 3 counts: classes in snake case, in the config's order."""
    groups: dict[str, str] = {}
    seen: collections.Counter[str] = collections.Counter()
    for layer in model["config"].get("layers", ()):
        kind = _snake_case(layer["class_name"])
        group = f"{prefix}layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        groups[group] = layer["config"]["name"]
        groups |= _layer_groups(layer, f"{group}/")
    return groups


def _snake_case(name: str) -> str:
    """`DepthwiseConv2D` to `depthwise_conv2d`, as Keras writes it."""
    words = re.sub(r"\W+", "", name)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
