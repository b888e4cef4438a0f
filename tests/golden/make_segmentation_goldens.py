"""Writes `segmentation.json` beside it: what torchvision's segmenters make of our formula.

Its LR-ASPP and its DeepLabv3 with MobileNetV3-Large have the weights of `closed_formula` under
their own names, at the output strides 16, as published, and 32; kept are a hash of names and
shapes, the count of parameters, and every so many of the scores at an even and an odd size.

Run in an environment of its own, with torch and torchvision installed:
  python -m tests.golden.make_segmentation_goldens
"""

import importlib
import json
import pathlib
from typing import Any

import numpy as np

from tests.golden import closed_formula
from tests.golden.make_backbone_goldens import decimals, missing_operators

TARGET = pathlib.Path(__file__).parent / "segmentation.json"
CLASSES = 21
SIZES = (224, 97)
STEP = 9973  # of the scores that are kept


def main() -> None:
    """Runs both and writes the file."""
    operators = missing_operators()
    torchvision = importlib.import_module("torchvision")
    segmentation = torchvision.models.segmentation
    backbone = torchvision.models.mobilenet_v3_large
    version, _, _ = torchvision.__version__.partition("+")
    found: dict[str, Any] = {"version": version}
    for stride, dilated in ((16, True), (32, False)):
        for name, made in (
            ("lraspp", segmentation.lraspp._lraspp_mobilenetv3(backbone(dilated=dilated), CLASSES)),
            (
                "deeplab_atrous",
                segmentation.deeplabv3._deeplabv3_mobilenetv3(
                    backbone(dilated=dilated), CLASSES, aux=None
                ),
            ),
        ):
            found[f"{name}, output stride {stride}"] = segmenter(made)
    del operators
    TARGET.write_text(json.dumps(found, indent=1) + "\n")


def segmenter(network: Any) -> dict[str, Any]:
    """One network's entry."""
    torch = importlib.import_module("torch")
    shapes = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, shape in shapes.items():
        network.state_dict()[name].copy_(torch.from_numpy(closed_formula.tensor(name, shape)))
    network.double().eval()  # so that differences are ours alone
    scores = {}
    for size in SIZES:
        image = torch.from_numpy(closed_formula.image(size).transpose(2, 0, 1)[None]).double()
        with torch.no_grad():
            (answer,) = network(image)["out"]
        last = answer.numpy().transpose(1, 2, 0).astype(np.float32)
        scores[str(size)] = decimals(last.ravel()[::STEP])
    return {
        "names": closed_formula.digest(shapes),
        "parameters": sum(value.numel() for value in network.parameters()),
        "scores": scores,
    }


if __name__ == "__main__":
    main()
