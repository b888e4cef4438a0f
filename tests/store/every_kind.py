"""A small patch with an edit of every kind, and the backbone that it fits."""

import dataclasses

import numpy as np

from adapters.store.contents import PatchContents
from adapters.store.encoding import rounded

SHAPES = {
    "stem": {"w": (3, 5), "bases": (2, 3, 5)},
    "stem/norm": {"mean": (5,), "var": (5,), "offset": (5,)},
    "tail": {"w": (3, 3, 1, 3)},
    "tail/norm": {"mean": (3,)},
}


def weights(seed=0):
    """The backbone, `{module: {leaf: array}}`."""
    generator = np.random.default_rng(seed)
    return {
        module: {leaf: generator.normal(size=s).astype(np.float32) for leaf, s in leaves.items()}
        for module, leaves in SHAPES.items()
    }


def edits(seed=1):
    """Every kind; all but `module` and `insert` meet in `stem/w`."""
    generator = np.random.default_rng(seed)

    def normal(*shape):
        return generator.normal(size=shape).astype(np.float32)

    def bits(count):
        return np.packbits(generator.integers(0, 2, count))

    return {
        "module": {"query/hidden": {"w": normal(3, 2)}},
        "insert": {"stem/norm": {"scale": normal(5)}},
        "replace": {"stem": {"w": normal(3, 5)}, "stem/norm": {"mean": normal(5)}},
        "mask": {"stem": {"w": bits(15)}, "tail": {"w": bits(27)}},
        "affine_mask": {"stem": {"w.mask": bits(15), "w.coefficients": normal(4)}},
        "mixture": {"stem": {"w.coefficients": normal(2)}},
        "low_rank": {"stem": {"w.down": normal(3, 2), "w.up": normal(2, 5)}},
        "add": {"stem": {"w": normal(3, 5)}, "tail/norm": {"mean": normal(3)}},
    }


def encoded(contents: PatchContents, encoding: str) -> PatchContents:
    """`contents` with these edits, as a reader of the file will see them."""
    seen, head = rounded(edits(), contents.head, encoding)
    return dataclasses.replace(contents, edits=seen, head=head, encoding=encoding)
