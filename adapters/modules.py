"""What a mapping of weights, {module path: {leaf: array}}, tells of the network it belongs to.

A module's kind is told by its leaves, and what it belongs to by the modules above it. Their names
stand here: layers and blocks are built with them, and whoever has weights and no layer table reads
them by these functions alone. `adapters.backbones.sites` says the same, and more, from a table.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from adapters.vocabulary import BIAS, GAIN, KERNEL, NORM

Kind = Literal["convolution", "depthwise", "pointwise", "dense", "norm", "layer_scale", "other"]
Leaf = TypeVar("Leaf")
Weights = Mapping[str, Mapping[str, Any]]

STEM, BLOCK, TAIL, POOLED, NECK = "stem", "block", "tail", "pooled", "neck"
NORM_NAME = "norm"
PREVIEW = "preview"  # a network that looks first: its paths have this before them
# The names of modules in the order in which they run, where they stand beside one another.
_ORDER = (
    *(PREVIEW, STEM, BLOCK, TAIL, POOLED, NECK),
    *(NORM_NAME, "start_depthwise", "reduce", "expand", "depthwise", "squeeze_excite"),
    *("attention", "query", "key_depthwise", "key", "value_depthwise", "value", "output"),
    *("point", "rate", "mean", "kernel", "project", "layer_scale", "gate"),
)
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}
_NUMBER = re.compile(r"_\d+$")


def kind_of(leaves: Mapping[str, Any]) -> Kind:
    """The kind of a module with these leaves: arrays, or their shapes.

    A matrix is a `pointwise` layer, a 1x1 convolution, unless it has a bias: then it is `dense`.

    >>> kind_of({"w": (3, 3, 1, 8)})
    'depthwise'
    """
    if KERNEL in leaves:
        shape = _shape(leaves[KERNEL])
        if len(shape) == 4:
            return "depthwise" if shape[2] == 1 else "convolution"
        return "dense" if BIAS in leaves else "pointwise"
    if GAIN in leaves:
        return "layer_scale"
    return "norm" if leaves.keys() & set(NORM) else "other"


def is_norm(leaves: Mapping[str, Any]) -> bool:
    """Whether a module with these leaves is a norm with its statistics."""
    return leaves.keys() >= set(NORM)


def norm_of(layer: str) -> str:
    """The path of the norm that follows a layer, where the weights have one there.

    >>> norm_of("block_03/expand")
    'block_03/expand/norm'
    """
    return f"{layer}/{NORM_NAME}"


def layer_of(path: str) -> str:
    """The layer that a module belongs to: a norm stands under its convolution.

    >>> layer_of("block_03/expand/norm")
    'block_03/expand'
    """
    above, _, name = path.rpartition("/")
    return above if above and name == NORM_NAME else path


def follows_kernel(norm: str, weights: Weights) -> bool:
    """Whether the norm at this path stands under a convolution, which can take it up."""
    layer = layer_of(norm)
    return layer != norm and KERNEL in weights.get(layer, {})


def block_of(path: str) -> str:
    """The block that a module lies in, a row of the layer table; a preview's is its own.

    >>> block_of("block_03/expand/norm"), block_of("preview/block_03/expand")
    ('block_03', 'preview/block_03')
    """
    own, network = _without_network(path), network_of(path)
    block = own.split("/", 1)[0]
    return f"{network}/{block}" if network else block


def numbered_blocks(paths: Iterable[str]) -> list[str]:
    """The blocks between stem and tail, in the order in which they run; a preview's are not.

    >>> numbered_blocks(["tail", "block_02/expand", "block_01", "preview/block_01"])
    ['block_01', 'block_02']
    """
    found = {block_of(path) for path in paths if not network_of(path)}
    return sorted(name for name in found if _kind_of_name(name) == BLOCK)


def network_of(path: str) -> str:
    """The network that a module belongs to: `preview`, or empty for the backbone itself."""
    return PREVIEW if path.split("/", 1)[0] == PREVIEW else ""


def inside(network: str, modules: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """Of {path: ...}, what lies in a network of its own, by the paths in it.

    >>> inside("preview", {"preview/stem": 1, "stem": 2})
    {'stem': 1}
    """
    before = f"{network}/"
    return {
        path.removeprefix(before): leaves
        for path, leaves in modules.items()
        if path.startswith(before)
    }


def under(network: str, modules: Mapping[str, Leaf]) -> dict[str, Leaf]:
    """{path: ...} with the paths that `inside` takes apart again."""
    return {f"{network}/{path}": leaves for path, leaves in modules.items()}


def running_order(path: str) -> tuple[tuple[int, str], ...]:
    """What to sort module paths by, so that the first to run come first.

    >>> sorted(["tail", "block_01/project", "block_01/expand", "stem"], key=running_order)
    ['stem', 'block_01/expand', 'block_01/project', 'tail']
    """
    return tuple((_RANKS.get(_kind_of_name(name), len(_RANKS)), name) for name in path.split("/"))


def module_and_leaf(name: str) -> tuple[str, str]:
    """The two parts of `module/leaf`, as graphs and files spell a leaf.

    >>> module_and_leaf("block_03/expand/norm/scale")
    ('block_03/expand/norm', 'scale')
    """
    module, _, leaf = name.rpartition("/")
    return module, leaf


def _without_network(path: str) -> str:
    return path.split("/", 1)[-1] if network_of(path) else path


def _kind_of_name(name: str) -> str:
    return _NUMBER.sub("", name)


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(getattr(leaf, "shape", leaf))
