"""Writes `detection.json` beside it: what torchvision's detectors make of our formula.

Its SSDLite with MobileNetV3-Large has the weights of `closed_formula` under its own names; kept are
every so many of its raw outputs on one image, its surest final boxes, its anchors, its loss, and
which of random boxes its suppression keeps.

Run in an environment of its own, with torch and a torchvision whose operators work:
  python -m tests.golden.make_detection_goldens
"""

import importlib
import json
import pathlib
from typing import Any

import numpy as np

from tests.golden import closed_formula, detection_formula
from tests.golden.make_backbone_goldens import decimals

TARGET = pathlib.Path(__file__).parent / "detection.json"


def main() -> None:
    """Runs it all and writes the file."""
    torch, torchvision = (importlib.import_module(name) for name in ("torch", "torchvision"))
    version, _, _ = torchvision.__version__.partition("+")
    found = {
        "version": version,
        "suppression": suppression(torch, torchvision),
        "coding": coding(torch),
        "ssdlite": ssdlite(torch, torchvision),
    }
    TARGET.write_text(json.dumps(found, indent=1) + "\n")


def suppression(torch: Any, torchvision: Any) -> dict[str, Any]:
    """Which of 300 boxes are kept, of one class and of five, by threshold."""
    boxes, scores = (
        torch.from_numpy(make("suppression", 300))
        for make in (detection_formula.boxes, detection_formula.scores)
    )
    classes = torch.from_numpy(detection_formula.classes("suppression", 300, 5))
    return {
        str(threshold): {
            "one": torchvision.ops.nms(boxes, scores, threshold).tolist(),
            "five": torchvision.ops.batched_nms(boxes, scores, classes, threshold).tolist(),
        }
        for threshold in detection_formula.THRESHOLDS
    }


def coding(torch: Any) -> dict[str, Any]:
    """Offsets of ten boxes from ten anchors, and ten boxes from anchors and noise."""
    utilities = importlib.import_module("torchvision.models.detection._utils")
    coder = utilities.BoxCoder((10.0, 10.0, 5.0, 5.0))
    boxes, anchors = (
        torch.from_numpy(detection_formula.boxes(name, 10)) for name in ("boxes", "anchors")
    )
    offsets = torch.from_numpy(30 * closed_formula.noise("offsets", (10, 4)))
    return {
        "encoded": decimals(coder.encode_single(boxes, anchors).numpy().ravel()),
        "decoded": decimals(coder.decode_single(offsets, anchors).numpy().ravel()),
    }


def ssdlite(torch: Any, torchvision: Any) -> dict[str, Any]:
    """The network's answers to one image, and its loss on another with objects."""
    network = torchvision.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=detection_formula.CLASSES
    )
    shapes = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, shape in shapes.items():
        network.state_dict()[name].copy_(torch.from_numpy(closed_formula.tensor(name, shape)))
    network.double().eval()  # so that differences are ours alone
    seen: dict[str, Any] = {}
    network.head.register_forward_hook(
        lambda module, inputs, output: seen.update(
            {name: value.detach()[0].numpy().astype(np.float32) for name, value in output.items()}
        )
    )
    network.anchor_generator.register_forward_hook(
        lambda module, inputs, output: seen.update({"anchors": output[0].numpy()})
    )
    size = detection_formula.SIZE
    image = torch.from_numpy(closed_formula.image(size).transpose(2, 0, 1)).double()
    pixels = (image + 1) / 2  # it takes 0.5 away again, and divides by as much
    with torch.no_grad():
        (answer,) = network([pixels])
        raw = dict(seen)
        truth = {
            "boxes": torch.from_numpy(
                detection_formula.boxes("objects", detection_formula.OBJECTS) * size
            ).double(),
            "labels": 1
            + torch.from_numpy(detection_formula.classes("objects", detection_formula.OBJECTS, 90)),
        }
        for module in network.modules():  # norms stay as they are
            module.training = module is network
        losses = network([pixels], [truth])
    first = slice(detection_formula.SCORES)
    return {
        "parameters": sum(value.numel() for value in network.parameters()),
        "anchors": decimals((raw["anchors"] / size).astype(np.float32).ravel()[::97]),
        "logits": decimals(raw["cls_logits"].ravel()[::2999]),
        "offsets": decimals(raw["bbox_regression"].ravel()[::97]),
        "answers": len(answer["scores"]),
        "boxes": decimals((answer["boxes"][first] / size).numpy().astype(np.float32).ravel()),
        "scores": decimals(answer["scores"][first].numpy().astype(np.float32)),
        "labels": answer["labels"][first].tolist(),
        "losses": {name: float(value) for name, value in losses.items()},
    }


if __name__ == "__main__":
    main()
