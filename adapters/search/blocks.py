"""Spaces over layer tables: what each inverted residual may leave out, and what is left then.

As in TuNAS' space like MobileNetV3 (Bender et al., arXiv 2008.06120): the kernel's size, the
expansion, squeeze-excite on or off, and the whole block where it adds its input to its output. The
table has the largest of each; a route leaves out some. Channels between blocks stay, so that costs
add up over blocks.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from adapters.backbones.rows import InvertedResidual, Row
from adapters.backbones.table import LayerTable, make_divisible
from adapters.search.space import Decision, Space, SpaceError, Unless

SKIPPED, KEPT = "skip", "keep"
SMALLEST_KERNEL = 3
KINDS = ("skip", "kernel", "expansion", "squeeze_excite")
WIDTHS = tuple(number / 16 for number in range(4, 17))
"""Shares of an expansion in a space of widths alone."""


class Form(NamedTuple):
    """What a route makes of a block.

    Attributes:
      skipped: whether it is left out.
      kernel: side of its depthwise kernel.
      expanded: channels inside.
      squeezes: whether squeeze-excite stays.
    """

    skipped: bool
    kernel: int
    expanded: int
    squeezes: bool


class BlockSpace(NamedTuple):
    """The space over a table, and what its routes mean.

    Attributes:
      table: with the largest of everything.
      space: of the decisions.
      places: {block: {`skip`, `kernel`, `expansion`, `squeeze_excite`: number of the decision}}.
    """

    table: LayerTable
    space: Space
    places: Mapping[str, Mapping[str, int]]

    def form(self, block: str, route: np.ndarray) -> Form:
        """What `route` [D] makes of `block`."""
        row = dict(self.table.named_rows())[block]
        assert isinstance(row, InvertedResidual)
        options = {
            kind: self.space.decisions[place].options[int(route[place])]
            for kind, place in self.places[block].items()
        }
        return Form(
            options.get("skip") == SKIPPED,
            int(options.get("kernel", row.kernel)),
            int(options.get("expansion", row.expanded)),
            bool(row.squeezed) and options.get("squeeze_excite", "on") == "on",
        )


def block_space(
    table: LayerTable,
    shares: tuple[float, ...] = (0.5, 1.0),
    kinds: Collection[str] = KINDS,
) -> BlockSpace:
    """The space of everything that may be left out of the inverted residuals of `table`.

    Args:
      table: with the largest of everything.
      shares: of each block's expansion, ascending, the last 1; rounded to multiples of 8.
      kinds: of decisions, of `KINDS`.

    Raises SpaceError where nothing may, or for a table with a neck, whose rows name blocks.
    """
    if not shares or shares[-1] != 1 or list(shares) != sorted(shares):
        raise SpaceError(f"shares of an expansion ascend to 1, not {shares}.")
    if table.neck:
        raise SpaceError(f"{table.name} has a neck, which reads blocks by name: leave it out.")
    decisions: list[Decision] = []
    places: dict[str, dict[str, int]] = {}
    for block, row in table.named_rows():
        if not isinstance(row, InvertedResidual):
            continue
        own: dict[str, int] = {}
        options = {
            "skip": (KEPT, SKIPPED) if row.residual else (),
            "kernel": tuple(map(str, range(SMALLEST_KERNEL, row.kernel + 1, 2))),
            "expansion": _expansions(row, shares),
            "squeeze_excite": ("off", "on") if row.squeezed else (),
        }
        for kind, named in options.items():
            if len(named) > 1 and kind in kinds:
                unless = Unless(own["skip"], 1) if "skip" in own else None
                own[kind] = len(decisions)
                decisions.append(Decision(f"{block} {kind}", named, unless))
        if own:
            places[block] = own
    if not decisions:
        raise SpaceError(f"nothing may be left out of {table.name}: it has no inverted residuals.")
    return BlockSpace(table, Space(decisions), places)


def width_space(table: LayerTable) -> BlockSpace:
    """The space of how many channels each block has inside, from a quarter up."""
    return block_space(table, WIDTHS, ("expansion",))


def forms(space: BlockSpace, block: str) -> Iterator[tuple[tuple[int, ...], Row | None]]:
    """Each way to decide of `block`, and the row that it leaves; None: the block is skipped.

    Options are by number, in the order of the block's decisions.
    """
    row = dict(space.table.named_rows())[block]
    assert isinstance(row, InvertedResidual)
    own = [*space.places[block].values()]
    for options in np.ndindex(*(int(space.space.widths[place]) for place in own)):
        route = largest(space)
        route[own] = options
        form = space.form(block, route)
        yield options, None if form.skipped else smaller_row(row, form)


def largest(space: BlockSpace) -> np.ndarray:
    """The route that leaves nothing out, [D] int32."""
    route = space.space.widths.astype(np.int32) - 1
    for own in space.places.values():
        if "skip" in own:
            route[own["skip"]] = 0
    return route


def smaller_row(row: InvertedResidual, form: Form) -> InvertedResidual:
    """The row of what is left of a block that stays."""
    return dataclasses.replace(
        row,
        kernel=form.kernel,
        expanded=form.expanded,
        squeezed=row.squeezed if form.squeezes else 0,
    )


def _expansions(row: InvertedResidual, shares: tuple[float, ...]) -> tuple[str, ...]:
    if not row.expands:
        return ()
    found = sorted({min(make_divisible(row.expanded * share), row.expanded) for share in shares})
    # An expansion to as many channels as come in would be another block, without that layer.
    return tuple(str(channels) for channels in found if channels != row.inputs)
