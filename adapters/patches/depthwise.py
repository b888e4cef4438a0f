"""Depthwise kernels learned again for each task.

Mudrakarta, Sandler, Zhmoginov, Howard, "K for the Price of 1", ICLR 2019, arXiv 1810.10703. On
MobileNetV2 1.0: 64,224 values, 2.89 % of the extractor; with scale and bias 4.42 %.
"""

from typing import Any

from adapters.modules import kind_of
from adapters.patches.contract import Patch
from adapters.patches.naming import named
from adapters.patches.replacement import replacement
from adapters.vocabulary import KERNEL


@named
def depthwise() -> Patch:
    """Each task owns every depthwise kernel `w` [k, k, 1, C], those of attention among them."""

    def owned(path: str, name: str, leaf: Any) -> bool:
        return name == KERNEL and kind_of({name: leaf}) == "depthwise"

    return replacement(owned)
