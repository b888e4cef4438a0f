"""A backbone's identity: one hash over every value in it."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt


def fingerprint(weights: Mapping[str, Mapping[str, npt.ArrayLike]]) -> str:
    """The SHA-256, in hexadecimal, of `{module path: {leaf name: array}}`.

    Covers path, name, dtype, shape and bytes of every leaf, in sorted order: two sets of weights
    have one fingerprint exactly when they are equal bit for bit. Takes NumPy and JAX arrays.
    """
    digest = hashlib.sha256()
    for path in sorted(weights):
        for name in sorted(weights[path]):
            leaf = np.asarray(weights[path][name])
            # The header ends where its line does, the bytes where the header says.
            header = json.dumps([path, name, leaf.dtype.name, list(leaf.shape)])
            digest.update(header.encode() + b"\n")
            digest.update(np.ascontiguousarray(leaf, leaf.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
