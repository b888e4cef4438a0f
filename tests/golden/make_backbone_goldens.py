"""Writes `backbones.json` beside it: what the original code bases make of our formula.

Each network is built by its own code base, given the weights of `closed_formula` under that code
base's own names, and run on one image at an even and an odd size. Kept are a hash of its tensors'
names and shapes, and every 20th of its pooled features.

Run in an environment of its own, with keras, jax, torch, torchvision and timm installed:
  python -m tests.golden.make_backbone_goldens
"""

import importlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.golden import closed_formula

SIZES = (224, 97)
TARGET = pathlib.Path(__file__).parent / "backbones.json"


def main() -> None:
    """Runs every peer and writes the file."""
    os.environ["KERAS_BACKEND"] = "jax"
    keras = peer("keras")
    goldens = {f"keras {keras.__version__} MobileNetV2": keras_mobilenet_v2(keras)}
    operators = missing_operators()
    torchvision, timm = peer("torchvision"), peer("timm")
    version, _, _ = torchvision.__version__.partition("+")
    networks = {
        f"torchvision {version} mobilenet_v2": torchvision.models.mobilenet_v2(),
        **{
            f"timm {timm.__version__} {name}": timm.create_model(name)
            for name in ("mobilenetv2_100", "efficientnet_lite0", "tf_efficientnet_lite0")
        },
    }
    del operators
    goldens |= {name: torch_network(network) for name, network in networks.items()}
    TARGET.write_text(json.dumps(goldens, indent=1) + "\n")


def peer(name: str) -> Any:
    """Imports a code base that is no dependency of this project, not even of its tests."""
    return importlib.import_module(name)


def missing_operators() -> Any:
    """Declares, while it is held, operators that torchvision looks for when it is imported.

    Its wheel wants CUDA for them, and no classifier here uses them.
    """
    library = peer("torch").library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def keras_mobilenet_v2(keras: Any) -> dict[str, Any]:
    """Keras's MobileNetV2 1.0: names of the whole network, features without its classifier."""
    network = keras.applications.MobileNetV2
    shapes = {name: tuple(weight.shape) for name, weight in named(network(weights=None))}
    features = {}
    for size in SIZES:
        model = network(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
        for name, weight in named(model):
            weight.assign(closed_formula.tensor(name, tuple(weight.shape)))
        features[size] = np.asarray(model(closed_formula.image(size)[None], training=False))[0]
    return golden(shapes, features)


def named(model: Any) -> Iterator[tuple[str, Any]]:
    """A Keras model's weights by layer and weight."""
    for layer in model.layers:
        for weight in layer.weights:
            yield f"{layer.name}/{weight.name}", weight


def torch_network(network: Any) -> dict[str, Any]:
    """A torchvision or timm network whose features are pooled by a plain mean."""
    torch = peer("torch")
    shapes = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    tensors = {n: torch.from_numpy(closed_formula.tensor(n, s)) for n, s in shapes.items()}
    network.load_state_dict(tensors, strict=False)
    network.eval()
    extract = getattr(network, "forward_features", None) or network.features
    features = {}
    for size in SIZES:
        image = torch.from_numpy(closed_formula.image(size).transpose(2, 0, 1)[None].copy())
        with torch.no_grad():
            features[size] = extract(image).mean((2, 3))[0].numpy()
    return golden(shapes, features)


def golden(shapes: dict[str, tuple[int, ...]], features: dict[int, np.ndarray]) -> dict[str, Any]:
    """One network's entry; features as float32 decimals that read back exactly."""
    kept = {str(size): [float(str(value)) for value in f[::20]] for size, f in features.items()}
    return {"names": closed_formula.digest(shapes), "features": kept}


if __name__ == "__main__":
    main()
