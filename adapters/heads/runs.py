"""Masks as lengths of runs, as COCO writes them."""

from typing import Any

import numpy as np

from adapters.heads.contract import Array


def runs(mask: Array) -> dict[str, Any]:
    """`size`, height and width, and `counts`: runs of pixels that are out, in, out, and so on.

    Pixels go column by column, and the first run, which may be of none, is of those that are out:
    COCO's uncompressed run-length encoding.

    Args:
      mask: [H, W] bool.

    >>> runs(np.array([[False, True], [True, True]]))
    {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = np.concatenate([[False], mask.ravel(order="F")])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": list(mask.shape), "counts": counts.tolist()}
