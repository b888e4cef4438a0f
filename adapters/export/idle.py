"""What one task's graph need not compute: blocks, channels and kernels that its patch silences."""

from collections.abc import Sequence
from typing import Any

from adapters.backbones.builder import Backbone, build
from adapters.backbones.pruning import pruned
from adapters.heads.linear import FEATURES
from adapters.patches.contract import Prepare, no_look
from adapters.runtime.graph_file import Weights


def without_idle(
    network: Backbone, patched: Weights, prepare: Prepare, taps: Sequence[str]
) -> tuple[Backbone, Any]:
    """The network and the weights of a task without what does nothing.

    A patch that looks at every image may yet change what seems idle, and keeps all; so does a head
    that reads maps of blocks, which it knows by their numbers.
    """
    if prepare is not no_look or tuple(taps) != (FEATURES,):
        return network, patched
    table, weights = pruned(network.table, patched, network.epsilon)
    if table is network.table:
        return network, patched
    return build(table, network.padding, network.epsilon), weights
