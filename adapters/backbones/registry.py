"""Every layer table by name."""

import functools
from collections.abc import Callable

from adapters.backbones import mobilenet_v1, mobilenet_v2, mobilenet_v3
from adapters.backbones.efficientnet_lite import efficientnet_lite0
from adapters.backbones.forms import with_forms
from adapters.backbones.isometric import SMALL, isometric, isometric_small
from adapters.backbones.mnasnet import mnasnet_a1, mnasnet_b1, mnasnet_small
from adapters.backbones.mobilenet_multi import multi_avg, multi_avg_seg, multi_max, multi_max_seg
from adapters.backbones.mobilenet_v4 import (
    mobilenet_v4_conv_large,
    mobilenet_v4_conv_medium,
    mobilenet_v4_conv_small,
    mobilenet_v4_hybrid_large,
    mobilenet_v4_hybrid_medium,
)
from adapters.backbones.necks import SEPARATOR
from adapters.backbones.table import LayerTable
from adapters.errors import UnknownNameError

_MAKERS: tuple[Callable[[], LayerTable], ...] = (
    *(functools.partial(mobilenet_v1.mobilenet_v1, width) for width in mobilenet_v1.WIDTHS),
    *(functools.partial(mobilenet_v2.mobilenet_v2, width) for width in mobilenet_v2.WIDTHS),
    *(functools.partial(mobilenet_v3.mobilenet_v3_large, width) for width in mobilenet_v3.WIDTHS),
    *(functools.partial(mobilenet_v3.mobilenet_v3_small, width) for width in mobilenet_v3.WIDTHS),
    functools.partial(mobilenet_v3.mobilenet_v3_large, minimalistic=True),
    functools.partial(mobilenet_v3.mobilenet_v3_small, minimalistic=True),
    mobilenet_v4_conv_small,
    mobilenet_v4_conv_medium,
    mobilenet_v4_conv_large,
    mobilenet_v4_hybrid_medium,
    mobilenet_v4_hybrid_large,
    mnasnet_a1,
    mnasnet_b1,
    mnasnet_small,
    efficientnet_lite0,
    multi_avg,
    multi_max,
    multi_avg_seg,
    multi_max_seg,
    isometric,
    functools.partial(isometric, resolution=14),
    *(functools.partial(isometric_small, resolution) for resolution in SMALL),
)

TABLES: dict[str, Callable[[], LayerTable]] = {make().name: make for make in _MAKERS}


def table(name: str) -> LayerTable:
    """The layer table called `name`; in other forms where they stand behind: see `forms`.

    Raises UnknownNameError where no table, or form, has this name, near names being offered; and as
    `with_forms` does.
    """
    backbone, _, forms = name.partition(SEPARATOR)
    if backbone not in TABLES:
        raise UnknownNameError("backbone", backbone, TABLES)
    return with_forms(TABLES[backbone](), forms)
