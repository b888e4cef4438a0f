"""In which order a network computes its layers, told by their paths."""

_BLOCKS = ("stem", "block", "tail", "pooled")
_LAYERS = ("start_depthwise", "expand", "depthwise", "squeeze_excite", "attention", "project")


def depth(path: str) -> tuple[object, ...]:
    """What to sort module paths by, so that the first come first.

    >>> sorted(["tail", "block_01/project", "block_01/expand", "stem"], key=depth)
    ['stem', 'block_01/expand', 'block_01/project', 'tail']
    """
    block, _, inside = path.partition("/")
    if block == "preview":  # a network of its own, which looks first
        return -1, *depth(inside)
    kind, layer = block.partition("_")[0], inside.partition("/")[0]
    place = _LAYERS.index(layer) if layer in _LAYERS else len(_LAYERS) * bool(inside)
    return _BLOCKS.index(kind) if kind in _BLOCKS else len(_BLOCKS), block, place, inside
