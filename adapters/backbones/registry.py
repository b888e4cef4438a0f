"""Every layer table by name."""

import functools
from collections.abc import Callable

from adapters.backbones.efficientnet_lite import efficientnet_lite0
from adapters.backbones.mobilenet_v2 import WIDTHS, mobilenet_v2
from adapters.backbones.table import LayerTable
from adapters.errors import UnknownNameError

TABLES: dict[str, Callable[[], LayerTable]] = {
    **{f"mobilenet_v2_{width}": functools.partial(mobilenet_v2, width) for width in WIDTHS},
    "efficientnet_lite0": efficientnet_lite0,
}


def table(name: str) -> LayerTable:
    """The layer table called `name`.

    Raises:
      UnknownNameError: no table has this name; near names are offered.
    """
    if name not in TABLES:
        raise UnknownNameError("backbone", name, TABLES)
    return TABLES[name]()
