"""Maps of a backbone by name: what a head may read."""

from collections.abc import Iterable

import jax

from adapters.backbones.builder import Outputs
from adapters.backbones.rows import Pooled
from adapters.backbones.table import LayerTable
from adapters.errors import UnknownNameError
from adapters.modules import block_of

FEATURES, STRIDE, EXPAND = "features", "stride_", "/expand"


def tap(table: LayerTable, outputs: Outputs, name: str) -> jax.Array:
    """The map called `name` of what a backbone made of one image.

    Args:
      table: of the backbone.
      outputs: of `Backbone.apply`.
      name: `features`, the pooled vector [C]; a block's name, such as `block_13` or, of a neck,
        `neck_01`, for its output [H', W', C']; `block_13/expand` for its expansion, after norm and
        activation; `stride_8`, say, for the output of the last block at an eighth of the side; or
        `stride_8/expand`, for the expansion of the first block that leaves that size.

    Raises UnknownNameError.
    """
    own = place(table, name)
    return outputs.features if own == FEATURES else outputs.endpoints[own]


def channels(table: LayerTable, name: str) -> int:
    """How many channels the map called `name` has. Raises UnknownNameError.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> channels(mobilenet_v2(), "stride_16"), channels(mobilenet_v2(), "block_13/expand")
    (96, 576)
    """
    own = place(table, name)
    if own == FEATURES:
        return table.features
    block, inside, _ = own.partition(EXPAND)
    row = dict(table.all_rows())[block]
    return row.expanded if inside else row.outputs


def place(table: LayerTable, name: str) -> str:
    """Which of a backbone's outputs the map called `name` is: `features`, or an endpoint.

    Raises UnknownNameError.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> place(mobilenet_v2(), "stride_16/expand")
    'block_14/expand'
    """
    return _places(table, name)[name]


def unread(table: LayerTable, names: Iterable[str]) -> frozenset[str]:
    """The blocks of the neck that none of the maps called so is, or is made of.

    Raises UnknownNameError.

    >>> from adapters.backbones.registry import table
    >>> sorted(unread(table("mobilenet_v2_1.0+fpn"), ["neck_04", "neck_01"]))
    ['neck_03', 'neck_05', 'neck_06', 'neck_07']
    """
    wanted = {place(table, name) for name in names}
    for own in reversed(table.neck):
        if own.name in wanted:
            wanted |= {block_of(one) for one in (own.reads, own.adds, own.beside)}
    return frozenset(own.name for own in table.neck if own.name not in wanted)


def pooled_map(table: LayerTable) -> str | None:
    """The map whose mean over its places the features are; None where a layer follows the mean.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> from adapters.backbones.mobilenet_v3 import mobilenet_v3_large
    >>> pooled_map(mobilenet_v2()), pooled_map(mobilenet_v3_large())
    ('tail', None)
    """
    name, row = table.named_rows()[-1]
    return None if isinstance(row, Pooled) else name


def _places(table: LayerTable, name: str) -> dict[str, str]:
    """Each name of a map, and the endpoint it stands for. Raises UnknownNameError for `name`."""
    found = {FEATURES: FEATURES}
    stride = 1
    for block, row in table.named_rows():
        before, stride = stride, stride * row.stride
        if isinstance(row, Pooled):
            continue
        if any(part.name == EXPAND[1:] for part in row.parts):
            found[block + EXPAND] = block + EXPAND
            if before != stride:
                found[f"{STRIDE}{before}{EXPAND}"] = block + EXPAND
        found[block] = found[f"{STRIDE}{stride}"] = block
    found |= {own.name: own.name for own in table.neck}
    if name not in found:
        raise UnknownNameError(f"map of {table.name}", name, found)
    return found
