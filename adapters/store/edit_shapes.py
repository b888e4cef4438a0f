"""Whether edits are whole, and whether they fit a backbone; almost all of it told by shapes."""

import math
from collections.abc import Callable, Iterable, Mapping

from adapters.store import inserted
from adapters.store.errors import SchemaError, ShapeMismatchError, UnsupportedFeatureError, shown
from adapters.store.kinds import (
    BASES,
    COEFFICIENTS,
    DOWN,
    KINDS,
    MASK,
    MODULE,
    PARTS,
    UP,
    Edits,
    EditShapes,
    Shape,
    Shapes,
    is_bits,
    leaf_and_part,
)


def check_kinds(kinds: Iterable[str]) -> None:
    """Raises UnsupportedFeatureError unless every kind is one of `KINDS`."""
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UnsupportedFeatureError(
            f"the patch holds edits of the kind {shown(unknown[0])}, known are {', '.join(KINDS)}"
        )


def check_parts(edits: EditShapes) -> None:
    """Raises SchemaError unless every edit is whole: what can be told without the backbone.

    Raises UnsupportedFeatureError for an inserted leaf that no layer of this version knows.
    """
    for kind, modules in edits.items():
        for module, named in modules.items():
            if kind == "insert":
                inserted.check_whole(module, named)
            for name, shape in named.items():
                if is_bits(kind, name) and len(shape) != 1:
                    raise SchemaError(
                        f"{kind} {module}/{name} is {list(shape)}; packed bits are one row of bytes"
                    )
            if kind in PARTS:
                _check_parts_of(kind, module, named)


def check_shapes(edits: EditShapes, shapes: Shapes) -> None:
    """Raises ShapeMismatchError unless each edit fits its leaf in `shapes`.

    `edits` have passed `check_parts`. A `module` fits where `shapes` has none of that path, an
    `insert` where it has the module but no such leaf; all other kinds need the leaf.
    """
    for kind, modules in edits.items():
        for module, named in modules.items():
            for name, shape in named.items():
                leaf, part = leaf_and_part(kind, name)
                if kind == MODULE:
                    _check_own(module, shapes)
                    continue
                if kind == "insert":
                    inserted.check_fits(module, leaf, tuple(shape), shapes)
                    continue
                if leaf not in shapes.get(module, {}):
                    raise ShapeMismatchError(
                        f"the patch edits {module}/{leaf}, which the backbone does not have"
                    )
                if kind == "mixture":
                    _check_bases(module, leaf, shape, shapes[module])
                else:
                    _check_fits(kind, f"{module}/{name}", part, shape, tuple(shapes[module][leaf]))


def _check_own(module: str, shapes: Shapes) -> None:
    if module in shapes:
        raise ShapeMismatchError(
            f"the patch brings a module {module}, which the backbone has already"
        )


def check_padding(edits: Edits, shapes: Shapes) -> None:
    """Raises SchemaError where a mask has bits beyond its leaf's last element.

    `edits` have passed `check_shapes` with the same `shapes`.
    """
    for kind, modules in edits.items():
        for module, named in modules.items():
            for name, array in named.items():
                if is_bits(kind, name):
                    count = math.prod(shapes[module][leaf_and_part(kind, name)[0]])
                    if int(array[-1]) & (1 << -count % 8) - 1:
                        raise SchemaError(
                            f"{kind} {module}/{name} has bits set beyond the leaf's {count} "
                            "elements; they must be zero"
                        )


def _check_parts_of(kind: str, module: str, named: Mapping[str, Shape]) -> None:
    leaves: dict[str, dict[str, Shape]] = {}
    for name, shape in named.items():
        leaf, part = leaf_and_part(kind, name)
        if not leaf or part not in PARTS[kind]:
            known = " and ".join(f"LEAF.{each}" for each in PARTS[kind])
            raise SchemaError(
                f"{kind} {module}/{name} is no part of an edit; its parts are {known}"
            )
        leaves.setdefault(leaf, {})[part] = shape
    for leaf, parts in leaves.items():
        for part in PARTS[kind]:
            if part not in parts:
                raise SchemaError(f"{kind} {module}/{leaf} lacks its part {leaf}.{part}")
        _CHECK_PARTS[kind](f"{kind} {module}/{leaf}", parts)


def _check_low_rank(what: str, parts: Mapping[str, Shape]) -> None:
    down, up = parts[DOWN], parts[UP]
    if len(down) != 2 or len(up) != 2 or down[1] != up[0] or down[1] < 1:
        raise SchemaError(
            f"{what} has down {list(down)} and up {list(up)}, not [in, r] and [r, out] with r of "
            "1 or more"
        )


def _check_affine_mask(what: str, parts: Mapping[str, Shape]) -> None:
    if parts[COEFFICIENTS] != (4,):
        raise SchemaError(f"{what} has coefficients {list(parts[COEFFICIENTS])}, not [4]")


def _check_mix(what: str, parts: Mapping[str, Shape]) -> None:
    if len(parts[COEFFICIENTS]) != 1:
        raise SchemaError(f"{what} has coefficients {list(parts[COEFFICIENTS])}, not [N]")


def _check_bases(module: str, leaf: str, shape: Shape, beside: Mapping[str, Shape]) -> None:
    bases = tuple(beside.get(BASES, ()))
    if bases[1:] != tuple(beside[leaf]):
        raise ShapeMismatchError(
            f"the patch mixes bases into {module}/{leaf}; this backbone has none for it"
        )
    if bases[:1] != shape:
        raise ShapeMismatchError(
            f"the patch mixes {shape[0]} bases into {module}/{leaf}; the backbone has {bases[0]}"
        )


_CHECK_PARTS: Mapping[str, Callable[[str, Mapping[str, Shape]], None]] = {
    "low_rank": _check_low_rank,
    "affine_mask": _check_affine_mask,
    "mixture": _check_mix,
}


def _check_fits(kind: str, what: str, part: str, shape: Shape, leaf: Shape) -> None:
    if kind == "low_rank":
        if len(leaf) != 2:
            raise ShapeMismatchError(f"{kind} {what} edits a leaf {list(leaf)}, not [in, out]")
        side = 0 if part == DOWN else 1
        if shape[side] != leaf[side]:
            raise ShapeMismatchError(f"{kind} {what} is {list(shape)}, the backbone's {list(leaf)}")
    elif kind == "mask" or part == MASK:
        count = math.prod(leaf)
        if shape != (-(-count // 8),):
            raise ShapeMismatchError(
                f"{kind} {what} has {shape[0]} bytes of bits, the backbone's {list(leaf)} needs "
                f"{-(-count // 8)}"
            )
    elif part != COEFFICIENTS and shape != leaf:
        raise ShapeMismatchError(f"{kind} {what} is {list(shape)}, the backbone's is {list(leaf)}")
