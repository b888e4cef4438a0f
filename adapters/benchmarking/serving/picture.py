"""Draws `results/serving.csv`: what each server answers in a second, how late, in what memory."""

import pathlib
import re
from collections.abc import Sequence

from adapters import drawing, files
from adapters.benchmarking.picture import MEGABYTE, Bars, draw_bars
from adapters.training.tidy import Measurement

SERVER = re.compile(r"serving, (?!peer )(?P<name>[^,]+), .*?(?P<clients>\d+) clients")
PANELS = {
    "throughput": ("requests a second", 1.0),
    "p50": ("median latency, ms", 1.0),
    "p99": ("latency of the slowest hundredth, ms", 1.0),
    "resident memory": ("resident memory, MB", MEGABYTE),
}


def draw(rows: Sequence[Measurement], path: pathlib.Path) -> None:
    """Writes a PNG with a panel for each of `PANELS`."""
    from matplotlib.figure import Figure  # Here, as it adds half a second to every command.

    figure = Figure(figsize=(11.0, 5.0), layout="constrained")
    grid = figure.subplots(2, 2).flatten()
    for axes, (metric, (title, unit)) in zip(grid, PANELS.items(), strict=True):
        draw_bars(axes, found(rows, metric, unit))
        axes.set_title(title, loc="left", fontsize=11)
    files.write_bytes(path, drawing.png(figure))


def found(rows: Sequence[Measurement], metric: str, unit: float) -> Bars:
    """`{clients: {server: value}}` of a metric, in `unit`s."""
    bars: dict[str, dict[str, float]] = {}
    for row in rows:
        match = SERVER.match(row.setting)
        if match and row.metric == metric:
            bars.setdefault(f"{match['clients']} clients", {})[match["name"]] = row.value / unit
    return bars
