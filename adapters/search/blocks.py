"""Spaces over layer tables: what each block may leave out, and what is left then.

Of inverted residuals as in TuNAS' space like MobileNetV3 (Bender et al., arXiv 2008.06120): the
kernel's size, the expansion, squeeze-excite on or off, and the whole block where it adds its input
to its output. Of universal bottlenecks as in MobileNetV4's (Qin et al., arXiv 2404.10518, section
4): of each depthwise layer whether it is there, and its kernel's size; so that a block with both
has all four forms, extra depthwise, inverted bottleneck, ConvNext-like and feed-forward. The table
has the largest of each; a route leaves out some. Channels between blocks stay, so that costs add up
over blocks.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from adapters.backbones.rows import InvertedResidual, Row, UniversalBottleneck
from adapters.backbones.table import LayerTable, make_divisible
from adapters.search.space import Decision, Space, SpaceError, Unless

SKIPPED, KEPT = "skip", "keep"
SMALLEST_KERNEL = 3
NONE = "0"
"""As a kernel's side: there is no such layer."""
IDEMPOTENT = ("relu", "relu6")
"""Activations that, done twice, give what they give once."""
KINDS = ("skip", "start_kernel", "kernel", "expansion", "squeeze_excite")
WIDTHS = tuple(number / 16 for number in range(4, 17))
"""Shares of an expansion in a space of widths alone."""


Searched = InvertedResidual | UniversalBottleneck


class Form(NamedTuple):
    """What a route makes of a block.

    Attributes:
      skipped: whether it is left out.
      start_kernel: side of the depthwise kernel before its expansion; 0: there is none.
      kernel: of the one inside.
      expanded: channels inside.
      squeezes: whether squeeze-excite stays.
    """

    skipped: bool
    start_kernel: int
    kernel: int
    expanded: int
    squeezes: bool


class BlockSpace(NamedTuple):
    """The space over a table, and what its routes mean.

    Attributes:
      table: with the largest of everything.
      space: of the decisions.
      places: {block: {one of `KINDS`: number of the decision}}.
    """

    table: LayerTable
    space: Space
    places: Mapping[str, Mapping[str, int]]

    def form(self, block: str, route: np.ndarray) -> Form:
        """What `route` [D] makes of `block`."""
        row = self.row(block)
        options = {
            kind: self.space.decisions[place].options[int(route[place])]
            for kind, place in self.places[block].items()
        }
        return Form(
            options.get("skip") == SKIPPED,
            int(options.get("start_kernel", _start_kernel(row))),
            int(options.get("kernel", row.kernel)),
            int(options.get("expansion", row.expanded)),
            bool(_squeezed(row)) and options.get("squeeze_excite", "on") == "on",
        )

    def row(self, block: str) -> Searched:
        """The row of a block that has decisions, with the largest of everything."""
        row = dict(self.table.named_rows())[block]
        assert isinstance(row, Searched)
        return row


def block_space(
    table: LayerTable,
    shares: tuple[float, ...] = (0.5, 1.0),
    kinds: Collection[str] = KINDS,
) -> BlockSpace:
    """The space of everything that may be left out of `table`'s blocks.

    A layer that carries its block's stride stays, and so does a depthwise layer inside whose
    activation would do more than once what it does once.

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
        if not isinstance(row, Searched):
            continue
        own: dict[str, int] = {}
        options = {
            "skip": (KEPT, SKIPPED) if row.residual else (),
            "start_kernel": _sides(_start_kernel(row), row.stride == 1 or row.kernel > 0),
            "kernel": _sides(row.kernel, _may_lack_inner(row)),
            "expansion": _expansions(row, shares),
            "squeeze_excite": ("off", "on") if _squeezed(row) else (),
        }
        for kind, named in options.items():
            if len(named) > 1 and kind in kinds:
                unless = Unless(own["skip"], 1) if "skip" in own else None
                own[kind] = len(decisions)
                decisions.append(Decision(f"{block} {kind}", named, unless))
        if own:
            places[block] = own
    if not decisions:
        raise SpaceError(f"nothing may be left out of {table.name}: it has no block to search.")
    return BlockSpace(table, Space(decisions), places)


def width_space(table: LayerTable) -> BlockSpace:
    """The space of how many channels each block has inside, from a quarter up."""
    return block_space(table, WIDTHS, ("expansion",))


def forms(space: BlockSpace, block: str) -> Iterator[tuple[tuple[int, ...], Row | None]]:
    """Each way to decide of `block`, and the row that it leaves; None: the block is skipped.

    Options are by number, in the order of the block's decisions.
    """
    row = space.row(block)
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


def smaller_row(row: Searched, form: Form) -> Searched:
    """The row of what is left of a block that stays."""
    left = dataclasses.replace(row, kernel=form.kernel, expanded=form.expanded)
    if isinstance(left, UniversalBottleneck):
        return dataclasses.replace(left, start_kernel=form.start_kernel)
    return dataclasses.replace(left, squeezed=left.squeezed if form.squeezes else 0)


def _sides(largest: int, may_lack: bool) -> tuple[str, ...]:
    """Sides of a kernel that there may be, from none on if that may be."""
    if not largest:
        return ()
    return (*([NONE] if may_lack else []), *map(str, range(SMALLEST_KERNEL, largest + 1, 2)))


def _may_lack_inner(row: Searched) -> bool:
    """Whether a block may be without its depthwise layer inside, its activation done before it."""
    return isinstance(row, UniversalBottleneck) and row.stride == 1 and row.activation in IDEMPOTENT


def _start_kernel(row: Searched) -> int:
    return row.start_kernel if isinstance(row, UniversalBottleneck) else 0


def _squeezed(row: Searched) -> int:
    return row.squeezed if isinstance(row, InvertedResidual) else 0


def _expansions(row: Searched, shares: tuple[float, ...]) -> tuple[str, ...]:
    found = sorted({min(make_divisible(row.expanded * share), row.expanded) for share in shares})
    if isinstance(row, InvertedResidual):
        # An expansion to as many channels as come in would be another block, without that layer.
        found = [channels for channels in found if row.expands and channels != row.inputs]
    return tuple(map(str, found))
