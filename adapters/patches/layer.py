"""Layers, a convolution with its norm, as patches speak of them."""

from collections.abc import Callable, Mapping
from typing import Any


def layer_of(path: str) -> str:
    """The layer that a module belongs to: a norm stands under its convolution.

    >>> layer_of("block_03/expand/norm")
    'block_03/expand'
    """
    return path.removesuffix("/norm")


def bits_by_layer(
    cost: Mapping[str, Any], group_of: Callable[[str], str] = layer_of
) -> dict[str, Any]:
    """Sums a patch's `cost`, {"KIND/PATH/LEAF": bits}, by the group of each module path.

    >>> bits_by_layer({"add/stem/w": 64, "replace/stem/norm/scale": 32})
    {'stem': 96}
    """
    total: dict[str, Any] = {}
    for key, count in cost.items():
        group = group_of(path_of(key))
        total[group] = total.get(group, 0) + count
    return total


def path_of(key: str) -> str:
    """The module path in a key of `cost`."""
    return key.split("/", 1)[1].rpartition("/")[0]
