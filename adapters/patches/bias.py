"""Norm offsets alone.

Ben Zaken, Goldberg, Ravfogel, "BitFit", arXiv 2106.10199; for convolutional networks Cai et al.,
"TinyTL", arXiv 2007.11622. On MobileNetV2 1.0: 17,056 values, 0.77 % of the extractor.
"""

from adapters.patches.contract import Patch
from adapters.patches.naming import named
from adapters.patches.replacement import replacement


@named
def bias() -> Patch:
    """Each task owns the `offset` of every norm."""
    return replacement(lambda path, name, leaf: name == "offset")
