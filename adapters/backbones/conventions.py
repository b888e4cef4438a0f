"""What a checkpoint's tensors do not say: padding, epsilon, pixel scaling."""

from typing import NamedTuple


class Conventions(NamedTuple):
    """How a checkpoint's network was trained to be run.

    Attributes:
      padding: "same" (TensorFlow), "symmetric" (PyTorch) or "trailing", see `layers.padding`.
      epsilon: of every norm.
      mean, std: of RGB pixels in 0..255; the network's input is (pixel - mean) / std.
    """

    padding: str
    epsilon: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


KERAS = Conventions("same", 1e-3, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
"""Keras's MobileNetV2 and V3, and timm's `tf_` networks: pixels from -1 to 1.

Keras's V3 scales pixels itself, in a layer without weights: the means are the same here.
"""

KERAS_V1 = KERAS._replace(padding="trailing")
"""Keras's MobileNetV1: as V2, but for images of odd sides."""

TORCH = Conventions("symmetric", 1e-5, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""torchvision (V3: epsilon 1e-3), and timm's networks trained in PyTorch.

Pixels have ImageNet's mean and deviation.
"""

TORCH_CENTRED = TORCH._replace(mean=KERAS.mean, std=KERAS.std)
"""As `TORCH`, but pixels from -1 to 1: some of timm's V4 and of its later V3.

A model's card, or timm's `pretrained_cfg`, shows it as mean 0.5.
"""

TORCH_UNIT = TORCH._replace(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
"""As `TORCH`, but pixels from 0 to 1: timm's V3 trained on ImageNet-21k by MIIL, for one.

A model's card, or timm's `pretrained_cfg`, shows it as mean 0 and std 1.
"""

KERAS_UNIT = KERAS._replace(mean=TORCH_UNIT.mean, std=TORCH_UNIT.std)
"""As `KERAS`, but pixels from 0 to 1: networks trained behind `Rescaling(1 / 255)`."""

TENSORFLOW_LITE = Conventions("same", 1e-3, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
"""EfficientNet-Lite as released in tensorflow/tpu."""

CONVENTIONS = {
    "keras": KERAS,
    "keras_v1": KERAS_V1,
    "torch": TORCH,
    "torch_centred": TORCH_CENTRED,
    "torch_unit": TORCH_UNIT,
    "tensorflow_lite": TENSORFLOW_LITE,
    "keras_unit": KERAS_UNIT,
}
"""Conventions by the name that `launch/convert` knows them by."""
