"""Leaves that a patch adds to layers: which there are, and whether they fit."""

from collections.abc import Mapping

from adapters.modules import kind_of
from adapters.store.errors import SchemaError, ShapeMismatchError, UnsupportedFeatureError
from adapters.store.kinds import Shape, Shapes
from adapters.vocabulary import INSERTED, OPTIONAL

# A file must not make a network so wide that it fills the memory.
MOST_INPUTS, MOST_TAPS = 4096, 11
# The leaves of one path, each with the axis of its width.
_PATHS = (
    (("side_down", -1), ("side_up", 0)),
    (("adapter_down", -1), ("adapter_kernel", -1), ("adapter_up", 0)),
)


def check_whole(module: str, named: Mapping[str, Shape]) -> None:
    """Raises unless each leaf is known, and the leaves of each path are there and belong together.

    Raises UnsupportedFeatureError for a leaf that no layer of this version knows, else SchemaError.
    """
    for name, shape in named.items():
        if name not in INSERTED:
            raise UnsupportedFeatureError(
                f"the patch inserts {module}/{name}; layers know {', '.join(INSERTED)}"
            )
        needed, rank = OPTIONAL[name].needs, OPTIONAL[name].rank
        if needed is not None and needed not in named:
            raise SchemaError(f"the patch inserts {module}/{name} without {module}/{needed}")
        if len(shape) != rank:
            raise SchemaError(f"the patch inserts {module}/{name} of the shape {list(shape)}")
    for path in _PATHS:
        widths = {named[name][axis] for name, axis in path if name in named}
        if len(widths) > 1:
            raise SchemaError(
                f"the patch inserts a path beside {module} whose parts are {sorted(widths)} wide"
            )


def check_fits(module: str, leaf: str, shape: Shape, shapes: Shapes) -> None:
    """Raises ShapeMismatchError unless the backbone's `module` takes such a leaf.

    What a path across a block takes in is not told by the module, nor whether the module ends a
    block that may be skipped: only the network itself knows.
    """
    if module not in shapes:
        raise ShapeMismatchError(
            f"the patch inserts {module}/{leaf}; the backbone has no module {module}"
        )
    if leaf in shapes[module]:
        raise ShapeMismatchError(f"the patch inserts {module}/{leaf}, which the backbone has")
    outputs = max(sides[-1] for sides in shapes[module].values())
    kernel = shapes[module].get("w", ())
    inputs = kernel[-2] if len(kernel) > 1 else outputs
    widest = max(inputs, outputs)
    fits = {
        "scale": lambda: shape == (outputs,),
        "offset": lambda: shape == (outputs,),
        "side_down": lambda: shape[0] == inputs and shape[1] <= widest,
        "side_up": lambda: shape[1] == outputs and shape[0] <= widest,
        "adapter": lambda: shape[1] == outputs and shape[0] <= MOST_INPUTS,
        "adapter_down": lambda: shape[1] <= max(shape[0], outputs) and shape[0] <= MOST_INPUTS,
        "adapter_kernel": lambda: shape[0] == shape[1] <= MOST_TAPS and shape[2] == 1,
        "adapter_up": lambda: shape[1] == outputs,
        "open": lambda: shape == (1,) and kind_of(shapes[module]) == "pointwise",
    }
    if not fits[leaf]():
        raise ShapeMismatchError(
            f"the patch inserts {module}/{leaf} {list(shape)}, which no layer of {inputs} channels "
            f"in and {outputs} out takes"
        )
