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

from adapters import archives, errors
from adapters.backbones.hdf5 import datasets, stored, text
from adapters.backbones.stored import Stored, Tree
from adapters.shown import shown, shown_value

_CONFIG_LIMIT = 1 << 22  # bytes; that of a MobileNet has 200,000
_DEPTH_LIMIT = 8  # models within models


class KerasFileError(errors.ModelPatchError):
    """A Keras file is damaged, or holds no weights."""


def read_keras_file(data: bytes) -> Tree:
    """Gives the tensors of a model as `{"Conv1/kernel": tensor}`, by layer and weight.

    A layer that is itself a model is a dictionary of its own, under its name. Weights are called
    `kernel, bias, gamma, beta, moving_mean, moving_variance` whatever Keras wrote them.

    Raises KerasFileError; HDF5Error where the file asks for what no network needs; ArchiveError for
    a damaged `.keras`.
    """
    try:
        names: dict[str, str] = {}
        if data.startswith(b"PK"):
            members = archives.zip_members(data)
            config = members["config.json"]()
            if len(config) > _CONFIG_LIMIT:
                raise KerasFileError(f"config.json has more than {_CONFIG_LIMIT} bytes: refused.")
            names = _layer_groups(json.loads(config))
            data = members["model.weights.h5"]()
        with h5py.File(io.BytesIO(data), "r") as file:
            tree = _tree(_tensors(file, names, data))
    except errors.ModelPatchError:
        raise
    except Exception as error:  # a damaged file may fail in any way that HDF5 and JSON can
        said = shown_value(str(error))
        raise KerasFileError(f"the Keras file cannot be read ({said}).") from error
    if not tree:
        raise KerasFileError("the Keras file holds no weights: save the model after building it.")
    return tree


class _Tensor(NamedTuple):
    """`outer` is the layer of the outermost model, `layer` the innermost that owns the weight."""

    outer: str
    layer: str
    weight: str
    values: Stored


def _tree(tensors: Iterator[_Tensor]) -> Tree:
    layers: dict[str, dict[str, dict[str, Stored]]] = collections.defaultdict(dict)
    for outer, layer, weight, values in tensors:
        layers[outer].setdefault(layer, {})[weight] = values
    tree: dict[str, Any] = {}
    for outer, inner in layers.items():
        flat = {f"{layer}/{name}": array for layer, w in inner.items() for name, array in w.items()}
        if len(inner) > 1:
            tree[outer] = flat
        else:
            tree |= {f"{outer}/{name.rsplit('/', 1)[1]}": array for name, array in flat.items()}
    return tree


def _tensors(file: h5py.File, names: dict[str, str], data: bytes) -> Iterator[_Tensor]:
    root = file.get("model_weights", file)
    for path, values in datasets(root):
        parts = path.split("/")
        if parts[0] == "layers" and parts[-2] == "vars":
            weights = _WEIGHTS.get(len(values.parent))
            name = text(values.parent, "name", data) or names.get(path.rsplit("/", 2)[0])
            if weights is None or name is None:
                raise KerasFileError(
                    f"nothing says which layer {shown(path)} belongs to: save the model with Keras "
                    "3.6 or later, or as .keras or .h5."
                )
            outer = parts[1] if parts.count("layers") > 1 else name
            yield _Tensor(outer, name, weights[int(parts[-1])], stored(values, data))
        elif parts[0] not in ("optimizer", "optimizer_weights", "_layer_checkpoint_dependencies"):
            weight = parts[-1].split(":")[0].removeprefix("depthwise_")
            yield _Tensor(parts[0], parts[-2], weight, stored(values, data))


# Keras 3 numbers a layer's weights: trainable ones first, in the order they were made.
_WEIGHTS = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}


def _layer_groups(model: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, str]:
    """HDF5 group to layer name, as Keras 3 counts: classes in snake case, in the config's order."""
    if depth > _DEPTH_LIMIT:
        raise KerasFileError(f"models lie more than {_DEPTH_LIMIT} deep in each other: refused.")
    groups: dict[str, str] = {}
    seen: collections.Counter[str] = collections.Counter()
    for layer in model["config"].get("layers", ()):
        kind = _snake_case(layer["class_name"])
        group = f"{prefix}layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        groups[group] = layer["config"]["name"]
        groups |= _layer_groups(layer, f"{group}/", depth + 1)
    return groups


def _snake_case(name: str) -> str:
    """`DepthwiseConv2D` to `depthwise_conv2d`, as Keras writes it."""
    words = re.sub(r"\W+", "", name)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
