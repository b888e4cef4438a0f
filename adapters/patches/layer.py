"""What a patch costs by layer, a convolution with its norm, or by any other group of modules."""

from collections.abc import Callable, Mapping
from typing import Any

from adapters.modules import layer_of, module_and_leaf


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
    return module_and_leaf(key.split("/", 1)[1])[0]
