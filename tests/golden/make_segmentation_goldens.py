"""Writes `segmentation.json` beside it: what torchvision's segmenters make of our formula.

Its LR-ASPP and its DeepLabv3 with MobileNetV3-Large have the weights of `closed_formula` under
their own names, at the output strides 16, as published, and 32; kept are a hash of names and
shapes, the count of parameters, and every so many of the scores at an even and an odd size. Of
LR-ASPP it also keeps how far its own scores in float32 are from those in float64.

Run in an environment of its own, with torch and torchvision installed:
  python -m tests.golden.make_segmentation_goldens
"""

import importlib
import json
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.golden import closed_formula
from tests.golden.make_backbone_goldens import decimals, missing_operators

TARGET = pathlib.Path(__file__).parent / "segmentation.json"
CLASSES = 21
SIZES = (224, 97)
STEP = 9973  # of the scores that are kept
NOISE = 32  # images by which rounding is told


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
        if dilated:
            lraspp = segmentation.lraspp._lraspp_mobilenetv3(backbone(dilated=True), CLASSES)
            found["lraspp, rounding"] = rounding(lraspp)
    del operators
    TARGET.write_text(json.dumps(found, indent=1) + "\n")


def segmenter(network: Any) -> dict[str, Any]:
    """One network's entry."""
    torch = importlib.import_module("torch")
    shapes = filled(network)
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


def filled(network: Any) -> dict[str, tuple[int, ...]]:
    """Gives a network the closed formula's weights; returns their shapes."""
    torch = importlib.import_module("torch")
    shapes = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, shape in shapes.items():
        network.state_dict()[name].copy_(torch.from_numpy(closed_formula.tensor(name, shape)))
    return shapes


def noise(size: int) -> npt.NDArray[np.float32]:
    """Images [NOISE, size, size, 3] as networks see them."""
    generator = np.random.default_rng(0)
    return generator.standard_normal((NOISE, size, size, 3), np.float32)


def distance(rounded: npt.NDArray[Any], exact: npt.NDArray[Any]) -> float:
    """The geometric mean over images [N, ...] of the furthest value, in parts of the largest."""
    axes = tuple(range(1, exact.ndim))
    apart = np.abs(rounded - exact).max(axes) / np.abs(exact).max(axes)
    return float(np.exp(np.log(apart).mean()))


def rounding(network: Any) -> dict[str, float]:
    """How far a network's scores in float32 are from those in float64, on noise.

    With oneDNN's kernels and PyTorch's own, and how far these are apart.
    """
    torch = importlib.import_module("torch")
    filled(network)
    images = torch.from_numpy(noise(min(SIZES)).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        rounded = network.float().eval()(images)["out"].numpy()
        with torch.backends.mkldnn.flags(enabled=False):
            own = network(images)["out"].numpy()
        exact = network.double()(images.double())["out"].numpy()
    return {
        name: float(f"{distance(*both):.3g}")
        for name, both in (
            ("oneDNN", (rounded, exact)),
            ("PyTorch", (own, exact)),
            ("apart", (rounded, own)),
        )
    }


if __name__ == "__main__":
    main()
