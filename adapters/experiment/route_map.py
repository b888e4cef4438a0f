"""A picture of the routes through one shared network, as lines through stations."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from adapters.drawing import PALETTE, STYLE, png
from adapters.modules import BLOCK
from adapters.shown import shown

BESIDE, JOINED = "#c8c8c8", "#555555"


def picture(record: Mapping[str, Any]) -> bytes:
    """A PNG of a `routes.json`: a line a task, a column a block of the shared network.

    A dot is a block that the task takes, a gap in its line one that it skips, and a bar joins those
    who share the block's weights. Above stands how many parameters each block has, coloured as its
    only task is, or grey where several share it.

    Args:
      record: as `route_record.opened` gives it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    nodes = record["nodes"]
    names = list(dict.fromkeys(name for node in nodes.values() for name in node["tasks"]))
    colours = dict(zip(names, _colours(len(names)), strict=True))
    with mpl.rc_context(STYLE):
        width, height = 2.5 + 0.45 * len(nodes), 2.6 + 0.4 * len(names)
        figure = Figure(figsize=(width, height), layout="constrained")
        shares = {"height_ratios": [1.2, 0.5 + 0.4 * len(names)]}
        above, lines = figure.subplots(2, 1, sharex=True, gridspec_kw=shares)
        for column, node in enumerate(nodes.values()):
            takers = [place for place, name in enumerate(names) if name in node["tasks"]]
            only = colours[names[takers[0]]] if len(takers) == 1 else JOINED
            above.bar(column, node["parameters"] / 1000, 0.8, color=only)
            lines.vlines(column, takers[0], takers[-1], color=JOINED, linewidth=5, alpha=0.5)
        for place, name in enumerate(names):
            taken = np.array([name in node["tasks"] for node in nodes.values()])
            places = np.full(len(nodes), place, float)
            lines.plot(places, color=BESIDE, linestyle=":", linewidth=1, zorder=0)
            lines.plot(np.where(taken, places, np.nan), color=colours[name], linewidth=2.5)
            lines.scatter(np.flatnonzero(taken), places[taken], color=colours[name], zorder=3)
        above.set_ylabel("thousand")
        above.set_title("Parameters of each block of the shared network")
        above.grid(visible=True, axis="y")
        lines.set_title("Who takes which: bars join those who share a block")
        lines.set_yticks(range(len(names)), [shown(name) for name in names])
        lines.set(ylim=(len(names) - 0.5, -0.5), xlabel="block")
        labels = [shown(block).removeprefix(f"{BLOCK}_") for block in nodes]
        lines.set_xticks(range(len(nodes)), labels, fontsize=8)
        for label in lines.get_xticklabels():
            label.set_rotation(0 if label.get_text().isdigit() else 90)
        for axes in (above, lines):
            axes.tick_params(length=0)
        return png(figure)


def _colours(count: int) -> list[str]:
    return [PALETTE[number % len(PALETTE)] for number in range(count)]
