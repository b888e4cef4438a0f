"""What a patch does to a backbone's weights, as plain data: `{kind: {module: {leaf: array}}}`.

Schema 1 knows one kind: `replace` puts its array in the place of the backbone's leaf.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from adapters.store.errors import ShapeMismatchError, UnsupportedFeatureError

KINDS = ("replace",)

Array = npt.NDArray[np.float32]
Shape = tuple[int, ...]
Edits = Mapping[str, Mapping[str, Mapping[str, Array]]]
EditShapes = Mapping[str, Mapping[str, Mapping[str, Shape]]]


def apply_edits(
    weights: Mapping[str, Mapping[str, Array]], edits: Edits
) -> dict[str, dict[str, Array]]:
    """The weights `{module: {leaf: array}}` with every edit done; `weights` stays as it was.

    Leaves without an edit are shared with `weights`, not copied. Raises UnsupportedFeatureError
    for an unknown kind, ShapeMismatchError for an edit that does not fit its leaf.
    """
    check_kinds(edits)
    check_shapes({kind: _shapes(edits[kind]) for kind in edits}, _shapes(weights))
    patched = {module: dict(leaves) for module, leaves in weights.items()}
    for module, leaves in edits.get("replace", {}).items():
        patched[module].update(leaves)
    return patched


def check_kinds(kinds: Iterable[str]) -> None:
    """Raises UnsupportedFeatureError unless every kind is one of `KINDS`."""
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UnsupportedFeatureError(
            f"the patch holds edits of the kind {unknown[0]!r}, known are {', '.join(KINDS)}"
        )


def check_shapes(edits: EditShapes, shapes: Mapping[str, Mapping[str, Shape]]) -> None:
    """Raises ShapeMismatchError unless each edit's leaf is among `shapes` and shaped alike."""
    for kind, modules in edits.items():
        for module, leaves in modules.items():
            for leaf, shape in leaves.items():
                if leaf not in shapes.get(module, {}):
                    raise ShapeMismatchError(
                        f"the patch edits {module}/{leaf}, which the backbone does not have"
                    )
                expected = tuple(shapes[module][leaf])
                if shape != expected:
                    raise ShapeMismatchError(
                        f"{kind} {module}/{leaf} is {list(shape)}, the backbone's is "
                        f"{list(expected)}"
                    )


def _shapes(weights: Mapping[str, Mapping[str, Array]]) -> dict[str, dict[str, Shape]]:
    return {
        module: {leaf: tuple(array.shape) for leaf, array in leaves.items()}
        for module, leaves in weights.items()
    }
