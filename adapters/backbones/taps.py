"""Maps of a backbone by name: what a head may read."""

import jax

from adapters.backbones.builder import Outputs
from adapters.backbones.table import LayerTable
from adapters.errors import UnknownNameError

FEATURES, STRIDE = "features", "stride_"


def tap(table: LayerTable, outputs: Outputs, name: str) -> jax.Array:
    """The map called `name` of what a backbone made of one image.

    Args:
      table: of the backbone.
      outputs: of `Backbone.apply`.
      name: `features`, the pooled vector [C]; a block's name, such as `block_13`, for its output
        [H', W', C']; `block_13/expand` for its expansion, after norm and activation; or `stride_8`,
        say, for the output of the last block at an eighth of the side.

    Raises UnknownNameError.
    """
    if name == FEATURES:
        return outputs.features
    found = {**outputs.endpoints}
    stride = 1
    for block, row in table.named_rows():
        stride *= row.stride
        if block in outputs.endpoints:
            found[f"{STRIDE}{stride}"] = outputs.endpoints[block]
    if name not in found:
        raise UnknownNameError(f"map of {table.name}", name, [FEATURES, *found])
    return found[name]
