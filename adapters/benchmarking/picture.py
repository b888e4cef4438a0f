"""Draws `results/performance.csv`: speed beside the peers, and what a step costs in memory."""

import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from adapters import drawing, files
from adapters.training.tidy import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (drawing.BLUE, drawing.ORANGE, drawing.GREEN)
SHAPE = r"(?P<size>\d+) px, batch (?P<examples>\d+), "
RATIO = re.compile(
    rf"(?P<work>inference|training step(?P<how> with .+)?), peer (?P<name>.+), {SHAPE}"
)
STEP = re.compile(rf"training step, ours, {SHAPE}")
MEGABYTE = 1e6
COLUMNS = 3

Bars = Mapping[str, Mapping[str, float]]  # {series: {bar: value}}


def draw(rows: Sequence[Measurement], path: pathlib.Path) -> None:
    """Writes a PNG: for each shape the ratios to each peer, then each patch's temp memory."""
    from matplotlib.figure import Figure  # Here, as it adds half a second to every command.

    panels = {
        f"{size} px, batch {examples}: speed over a peer's": bars
        for (size, examples), bars in ratios(rows).items()
    }
    panels["temp memory of a step, MB"] = memory(rows)
    columns = min(len(panels), COLUMNS)
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(5.5 * columns, 4.0 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, (title, bars) in zip(grid, panels.items(), strict=False):
        draw_bars(axes, bars)
        axes.set_title(title, loc="left", fontsize=11)
        if "speed" in title:
            axes.axvline(1.0, color="#333333", linewidth=1.0)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    files.write_bytes(path, drawing.png(figure))


def ratios(rows: Sequence[Measurement]) -> dict[tuple[int, int], Bars]:
    """`{(pixels, examples): {peer: {patch, or backbone at inference: ours over theirs}}}`.

    Of steps that are done in another way, the patch is followed by which.
    """
    found: dict[tuple[int, int], dict[str, dict[str, float]]] = {}
    for row in rows:
        match = RATIO.match(row.setting)
        if row.metric == "ratio" and match:
            peers = found.setdefault((int(match["size"]), int(match["examples"])), {})
            bar = row.patch or f"{row.backbone}, {match['work']}"
            bar += match["how"] or ""
            peers.setdefault(match["name"], {})[bar] = row.value
    return dict(sorted(found.items()))


def memory(rows: Sequence[Measurement]) -> Bars:
    """`{size: {patch: megabytes}}` of our training steps."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        match = STEP.match(row.setting)
        if row.metric == "temp memory" and match:
            found.setdefault(f"{match['size']} px", {})[row.patch] = row.value / MEGABYTE
    return found


def draw_bars(axes: "Axes", bars: Bars) -> None:
    """Draws a group of bars for each name, one of each series."""
    names = list(dict.fromkeys(name for series in bars.values() for name in series))
    thickness = 0.8 / max(len(bars), 1)
    for number, (label, series) in enumerate(bars.items()):
        offset = (number - (len(bars) - 1) / 2) * thickness
        places = [names.index(name) + offset for name in series]
        drawn = axes.barh(
            places, list(series.values()), thickness, color=COLOURS[number % 3], label=label
        )
        axes.bar_label(drawn, fmt="%.4g", padding=2, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    if bars:
        axes.legend(
            fontsize=8, frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0.0, -0.08)
        )
