"""Networks of other code bases that ours are compared with, and where their maps are found.

Each entry of a dictionary of endpoints is one of our blocks, the last of its resolution, and the
name of the layer or module there whose output it equals.
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """One network of another code base.

    Attributes:
      code_base: keras, torchvision or timm.
      network: its name there.
      endpoints: block of ours to their layer or module.
      settings: with which it is made.
    """

    code_base: str
    network: str
    endpoints: dict[str, str]
    settings: dict[str, object] = {}  # noqa: RUF012 -- never changed

    @property
    def title(self) -> str:
        """What the goldens call it."""
        settings = "".join(f", {key}={value}" for key, value in self.settings.items())
        return f"{self.code_base} {self.network}{settings}"


_KERAS_V3_LARGE = {
    "block_01": "expanded_conv_add",
    "block_03": "expanded_conv_2_add",
    "block_06": "expanded_conv_5_add",
    "block_12": "expanded_conv_11_add",
    "block_15": "expanded_conv_14_add",
}
_KERAS_V3_SMALL = {
    "block_01": "expanded_conv_project_bn",
    "block_03": "expanded_conv_2_add",
    "block_08": "expanded_conv_7_add",
    "block_11": "expanded_conv_10_add",
}
_TIMM_V2 = {
    "block_01": "blocks.0.0",
    "block_03": "blocks.1.1",
    "block_06": "blocks.2.2",
    "block_13": "blocks.4.2",
    "block_17": "blocks.6.0",
}
_TIMM_LITE0 = {
    "block_01": "blocks.0.0",
    "block_03": "blocks.1.1",
    "block_05": "blocks.2.1",
    "block_11": "blocks.4.2",
    "block_16": "blocks.6.0",
}


def _features(*numbers: int) -> dict[str, str]:
    """torchvision's MobileNets count as we do."""
    return {f"block_{number:02d}": f"features.{number}" for number in numbers}


PEERS = (
    Peer(
        "keras",
        "MobileNet",
        {f"block_{number:02d}": f"conv_pw_{number}_relu" for number in (1, 3, 5, 11, 13)},
    ),
    Peer(
        "keras",
        "MobileNetV2",
        {
            "block_01": "expanded_conv_project_BN",
            "block_03": "block_2_add",
            "block_06": "block_5_add",
            "block_13": "block_12_add",
            "block_17": "block_16_project_BN",
        },
    ),
    Peer("keras", "MobileNetV3Large", _KERAS_V3_LARGE),
    Peer("keras", "MobileNetV3Small", _KERAS_V3_SMALL),
    Peer("keras", "MobileNetV3Large", _KERAS_V3_LARGE, {"minimalistic": True}),
    Peer("keras", "MobileNetV3Small", _KERAS_V3_SMALL, {"minimalistic": True}),
    Peer("torchvision", "mobilenet_v2", _features(1, 3, 6, 13, 17)),
    Peer("torchvision", "mobilenet_v3_large", _features(1, 3, 6, 12, 15)),
    Peer("torchvision", "mobilenet_v3_large", _features(1, 3, 6, 12, 15), {"dilated": True}),
    Peer("torchvision", "mobilenet_v3_small", _features(1, 3, 8, 11)),
    Peer(
        "torchvision",
        "mnasnet1_0",
        {
            "block_01": "layers.7",
            "block_04": "layers.8",
            "block_07": "layers.9",
            "block_12": "layers.11",
            "block_17": "layers.13",
        },
    ),
    Peer("timm", "mobilenetv2_100", _TIMM_V2),
    Peer("timm", "mobilenetv2_100", _TIMM_V2, {"output_stride": 8}),
    Peer("timm", "efficientnet_lite0", _TIMM_LITE0),
    Peer("timm", "tf_efficientnet_lite0", _TIMM_LITE0),
    Peer(
        "timm",
        "mnasnet_100",
        {
            "block_01": "blocks.0.0",
            "block_04": "blocks.1.2",
            "block_07": "blocks.2.2",
            "block_12": "blocks.4.1",
            "block_17": "blocks.6.0",
        },
    ),
    Peer(
        "timm",
        "semnasnet_100",
        {
            "block_01": "blocks.0.0",
            "block_03": "blocks.1.1",
            "block_06": "blocks.2.2",
            "block_12": "blocks.4.1",
            "block_16": "blocks.6.0",
        },
    ),
    Peer(
        "timm",
        "mnasnet_small",
        {
            "block_01": "blocks.0.0",
            "block_02": "blocks.1.0",
            "block_04": "blocks.2.1",
            "block_11": "blocks.4.2",
            "block_15": "blocks.6.0",
        },
    ),
    Peer(
        "timm",
        "tf_mobilenetv3_large_075",
        {
            "block_01": "blocks.0.0",
            "block_03": "blocks.1.1",
            "block_06": "blocks.2.2",
            "block_12": "blocks.4.1",
            "block_15": "blocks.5.2",
        },
    ),
    Peer(
        "timm",
        "mobilenetv4_conv_small",
        {
            "block_02": "blocks.0.1",
            "block_04": "blocks.1.1",
            "block_10": "blocks.2.5",
            "block_16": "blocks.3.5",
        },
    ),
    Peer(
        "timm",
        "mobilenetv4_conv_medium",
        {
            "block_01": "blocks.0.0",
            "block_03": "blocks.1.1",
            "block_11": "blocks.2.7",
            "block_22": "blocks.3.10",
        },
    ),
    Peer(
        "timm",
        "mobilenetv4_conv_large",
        {
            "block_01": "blocks.0.0",
            "block_03": "blocks.1.1",
            "block_14": "blocks.2.10",
            "block_27": "blocks.3.12",
        },
    ),
    Peer(
        "timm",
        "mobilenetv4_hybrid_medium",
        {
            "block_01": "blocks.0.0",
            "block_03": "blocks.1.1",
            "block_15": "blocks.2.11",
            "block_31": "blocks.3.15",
        },
    ),
    Peer(
        "timm",
        "mobilenetv4_hybrid_large",
        {
            "block_01": "blocks.0.0",
            "block_03": "blocks.1.1",
            "block_18": "blocks.2.14",
            "block_36": "blocks.3.17",
        },
    ),
)
