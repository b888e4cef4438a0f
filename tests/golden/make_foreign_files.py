"""Writes small files with PyTorch and Keras themselves, for our readers to be tested on.

Run in an environment of its own, with torch, keras and jax installed:
  python -m tests.golden.make_foreign_files torch keras
With an older Keras in place (3.0.5 was used), which writes no layer names:
  python -m tests.golden.make_foreign_files keras_old
"""

import importlib
import os
import pathlib
import sys
from typing import Any

from tests.golden import closed_formula

FOLDER = pathlib.Path(__file__).parent


def main(wanted: list[str]) -> None:
    """Writes the files of each named kind."""
    os.environ["KERAS_BACKEND"] = "jax"
    for kind in wanted:
        {"torch": torch_files, "keras": keras_files, "keras_old": old_keras_file}[kind]()


def torch_files() -> None:
    """One state dict in both layouts, one as a training script keeps it, one whole module."""
    torch = importlib.import_module("torch")
    tensors = {
        "transposed": torch.arange(12, dtype=torch.float32).reshape(3, 4).t(),
        "strided": torch.arange(10.0)[2:8:2],
        "half": torch.arange(5).half(),
        "brain": torch.tensor([1.5, -2, 3e20]).bfloat16(),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    torch.save(tensors, FOLDER / "torch_zip.pth")
    torch.save(tensors, FOLDER / "torch_legacy.pth", _use_new_zipfile_serialization=False)
    parameter = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    torch.save({"state_dict": {"w": parameter}, "epoch": 3}, FOLDER / "torch_training.pth")
    torch.save(torch.nn.Linear(1, 1), FOLDER / "torch_module.pth")


def keras_files() -> None:
    """A model alone, and as a layer of another, in every format."""
    keras = importlib.import_module("keras")
    model = tiny_model(keras)
    model.save(FOLDER / "keras_flat.keras")
    model.save(FOLDER / "keras_flat.h5")
    model.trainable = False  # must not change the order of weights
    around = keras.Sequential([model, keras.layers.Dense(2, name="new_head")])
    around.build((None, 8, 8, 3))
    around.save(FOLDER / "keras_nested.keras")
    around.save(FOLDER / "keras_nested.h5")


def old_keras_file() -> None:
    """The model alone, by a Keras that names groups after classes only."""
    keras = importlib.import_module("keras")
    inner = tiny_model(keras)
    keras.Sequential([inner, keras.layers.Dense(2)]).save(FOLDER / "keras_old_nested.keras")


def tiny_model(keras: Any) -> Any:
    """Two layers of each kind that matters, whose names say nothing about their order."""
    layers = keras.layers
    x = image = keras.Input((8, 8, 3), name="image")
    for first, second in (("Conv1", "zebra"), ("last", "apple")):
        x = layers.Conv2D(2, 1, use_bias=False, name=first)(x)
        x = layers.BatchNormalization(name=f"bn_{first}")(x)
        x = layers.DepthwiseConv2D(2, use_bias=False, name=second)(x)
    outputs = layers.Dense(2, name="predictions")(layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(image, outputs, name="tiny")
    for layer in model.layers:
        for weight in layer.weights:
            name = f"{layer.name}/{weight.name}"
            weight.assign(closed_formula.tensor(name, tuple(weight.shape)))
    return model


if __name__ == "__main__":
    main(sys.argv[1:])
