"""Writes `backbones.json` beside it: what the original code bases make of our formula.

Each network of `peers` is built by its own code base, given the weights of `closed_formula` under
that code base's own names, and run on one image at an even and an odd size. Kept are a hash of its
tensors' names and shapes, every 20th of the features its classifier reads, and ten values of the
last map of each resolution.

Run in an environment of its own, with keras, jax, torch, torchvision and timm installed:
  python -m tests.golden.make_backbone_goldens
"""

import importlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tests.golden import closed_formula
from tests.golden.peers import PEERS, Peer

SIZES = (224, 97)
TARGET = pathlib.Path(__file__).parent / "backbones.json"


def main() -> None:
    """Runs every peer and writes the file."""
    os.environ["KERAS_BACKEND"] = "jax"
    operators = missing_operators()
    goldens = {}
    for peer in PEERS:
        version, _, _ = code_base(peer.code_base).__version__.partition("+")
        run = keras_network if peer.code_base == "keras" else torch_network
        goldens[peer.title] = {"version": version, **run(peer)}
    del operators
    TARGET.write_text(json.dumps(goldens, indent=1) + "\n")


def code_base(name: str) -> Any:
    """Imports a code base that is no dependency of this project, not even of its tests."""
    return importlib.import_module(name)


def missing_operators() -> Any:
    """Declares, while it is held, operators that torchvision looks for when it is imported.

    Its wheel wants CUDA for them, and no classifier here uses them.
    """
    library = code_base("torch").library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def keras_network(peer: Peer) -> dict[str, Any]:
    """A network of keras.applications; V3's own scaling of pixels is left out."""
    keras = code_base("keras")
    network = getattr(keras.applications, peer.network)
    settings = dict(peer.settings)
    if "V3" in peer.network:
        settings["include_preprocessing"] = False
    features, endpoints = {}, {}
    for size in SIZES:
        model = network(weights=None, input_shape=(size, size, 3), **settings)
        for name, weight in named(model):
            weight.assign(closed_formula.tensor(name, tuple(weight.shape)))
        head = [layer for layer in model.layers if layer.weights][-1]
        wanted = [head.input, *(model.get_layer(name).output for name in peer.endpoints.values())]
        outputs = keras.Model(model.input, wanted)(closed_formula.image(size)[None])
        features[size], *maps = (np.asarray(output)[0] for output in outputs)
        endpoints[size] = dict(zip(peer.endpoints, maps, strict=True))
    shapes = {name: tuple(weight.shape) for name, weight in named(model)}
    return golden(shapes, features, endpoints)


def named(model: Any) -> Iterator[tuple[str, Any]]:
    """A Keras model's weights by layer and weight."""
    for layer in model.layers:
        for weight in layer.weights:
            yield f"{layer.name}/{weight.name}", weight


def torch_network(peer: Peer) -> dict[str, Any]:
    """A torchvision or timm network; its features are what its last layer is given."""
    torch = code_base("torch")
    if peer.code_base == "timm":
        network = code_base("timm").create_model(peer.network, **peer.settings)
    else:
        network = getattr(code_base("torchvision").models, peer.network)(**peer.settings)
    shapes = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, shape in shapes.items():  # in place: torchvision's MNASNet loads no plain dict
        network.state_dict()[name].copy_(torch.from_numpy(closed_formula.tensor(name, shape)))
    network.double().eval()  # so that differences are ours alone
    seen: dict[str, np.ndarray] = {}
    for block, module in peer.endpoints.items():
        network.get_submodule(module).register_forward_hook(
            lambda module, inputs, output, block=block: seen.update(
                {block: output[0].numpy().transpose(1, 2, 0).astype(np.float32)}
            )
        )
    last = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    last.register_forward_pre_hook(
        lambda module, inputs: seen.update({"features": inputs[0][0].numpy().astype(np.float32)})
    )
    features, endpoints = {}, {}
    for size in SIZES:
        image = torch.from_numpy(closed_formula.image(size).transpose(2, 0, 1)[None]).double()
        with torch.no_grad():
            network(image)
        features[size] = seen.pop("features")
        endpoints[size] = {block: seen.pop(block) for block in peer.endpoints}
    return golden(shapes, features, endpoints)


def golden(
    shapes: Mapping[str, tuple[int, ...]],
    features: Mapping[int, np.ndarray],
    endpoints: Mapping[int, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """One network's entry; values as float32 decimals that read back exactly."""
    return {
        "names": closed_formula.digest(dict(shapes)),
        "features": {
            str(size): decimals(values.ravel()[::20]) for size, values in features.items()
        },
        "endpoints": {
            str(size): {
                block: decimals(closed_formula.subset(map_)) for block, map_ in maps.items()
            }
            for size, maps in endpoints.items()
        },
    }


def decimals(values: np.ndarray) -> list[float]:
    """The shortest decimals that are these float32 values."""
    return [float(str(value)) for value in values]


if __name__ == "__main__":
    main()
