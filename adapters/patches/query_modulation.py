"""A network that looks for what it is asked: a query writes scales and offsets into norms.

Fornoni, Yan, Luo, Wilber, Stark, Cui, Gong, Howard, "Query-Modulated Detectors", arXiv 2106.10258,
which publishes neither code nor sizes. Our reconstruction: the input `query` has a number for each
word of a closed list, 1 where the query holds the word, and so the first layer of the network
(`adapters.patches.modulation`) has a learned embedding for each word. The word of an empty query is
one of them. On MobileNetV2 1.0: 48,400 values, of which 272 are embeddings; `at=endpoints` 23,056;
`at=head` 41,232 for a head of the pooled features.
"""

import itertools
from collections.abc import Callable

from adapters.modules import NECK, block_of, kind_of, network_of, numbered_blocks, running_order
from adapters.patches.contract import Need, Patch, Weights
from adapters.patches.map_modulation import map_modulation
from adapters.patches.modulation import modulation
from adapters.patches.naming import named
from adapters.patches.settings import PatchSettingError, check_setting

QUERY, HEAD = "query", "head"
EMBEDDINGS = ("learned", "text")


@named
def query_modulation(
    size: int = 16, hidden: int = 16, at: str = "blocks", embeddings: str = "learned"
) -> Patch:
    """Each task owns a network from the input `query` to the scales and offsets of norms.

    It comes last in a chain.

    Args:
      size: numbers in a query, as the task has them.
      hidden: units of the network: how long embeddings are.
      at: which norms are modulated: `norms`, all of the backbone; `blocks`, the last of each block;
        `endpoints`, the last of each block whose maps have another width than those of the next;
        `neck`, all of the neck; or no norms but, with `head`, the maps that the task's head reads:
        the levels of a feature pyramid, say.
      embeddings: `learned`, or `text`: what a learned matrix makes of a frozen text encoder's
        vector of each word, as `adapters.patches.embeddings` has it.

    Raises PatchSettingError; so does `init` for weights without such norms, and where nobody said
    which maps heads read.
    """
    check_setting("size", size, 1 <= size <= 4096, "from 1 to 4096")
    check_setting("hidden", hidden, hidden >= 1, "1 or more")
    check_setting("at", at, at in (*_PLACES, HEAD), f"one of {', '.join(_PLACES)}, {HEAD}")
    check_setting("embeddings", embeddings, embeddings in EMBEDDINGS, " or ".join(EMBEDDINGS))
    of_texts = embeddings == "text"
    if at == HEAD:
        return map_modulation("query_modulation", Need(QUERY, (size,)), hidden, 1.0, of_texts)

    def modulated(weights: Weights) -> list[str]:
        found = _PLACES[at](weights)
        if not found:
            raise PatchSettingError(f"query_modulation(at={at}): this backbone has no such norms.")
        return found

    return modulation("query_modulation", Need(QUERY, (size,)), hidden, 1.0, modulated, of_texts)


def _norms(weights: Weights) -> list[str]:
    """Of the backbone and its neck, in the order in which they run."""
    found = [
        path
        for path, leaves in weights.items()
        if kind_of(leaves) == "norm" and not network_of(path)
    ]
    return sorted(found, key=running_order)


def _in_neck(path: str) -> bool:
    return path.startswith(NECK)


def _of_backbone(weights: Weights) -> list[str]:
    return [path for path in _norms(weights) if not _in_neck(path)]


def _of_blocks(weights: Weights) -> list[str]:
    blocks = set(numbered_blocks(weights))
    last = {block_of(path): path for path in _norms(weights)}
    return [path for block, path in last.items() if block in blocks]


def _of_endpoints(weights: Weights) -> list[str]:
    found = _of_blocks(weights)
    widths = [weights[path]["scale"].shape[0] for path in found]
    return [
        path
        for path, (width, following) in zip(found, itertools.pairwise([*widths, 0]), strict=True)
        if width != following
    ]


_PLACES: dict[str, Callable[[Weights], list[str]]] = {
    "norms": _of_backbone,
    "blocks": _of_blocks,
    "endpoints": _of_endpoints,
    "neck": lambda weights: [path for path in _norms(weights) if _in_neck(path)],
}
