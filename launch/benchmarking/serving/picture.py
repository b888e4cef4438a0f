"""Draws `results/serving.csv`: what each server answers in a second, how late, in what memory."""

import io
import pathlib
import re
from collections.abc import Mapping, Sequence

from adapters import files
from adapters.training.tidy import Measurement
from launch.benchmarking.picture import COLOURS, MEGABYTE

SERVER = re.compile(r"serving, (?!peer )(?P<name>[^,]+), .*?(?P<clients>\d+) clients")
PANELS = {
    "throughput": ("requests a second", 1.0),
    "p50": ("median latency, ms", 1.0),
    "p99": ("latency of the slowest hundredth, ms", 1.0),
    "resident memory": ("resident memory, MB", MEGABYTE),
}

Bars = Mapping[str, Mapping[str, float]]  # {clients: {server: value}}


def draw(rows: Sequence[Measurement], path: pathlib.Path) -> None:
    """Writes a PNG with a panel for each of `PANELS`."""
    from matplotlib.figure import Figure  # Here, as it adds half a second to every command.

    figure = Figure(figsize=(11.0, 5.0), layout="constrained")
    grid = figure.subplots(2, 2).flatten()
    for axes, (metric, (title, unit)) in zip(grid, PANELS.items(), strict=True):
        bars = found(rows, metric, unit)
        names = list(dict.fromkeys(name for series in bars.values() for name in series))
        thickness = 0.8 / max(len(bars), 1)
        for number, (clients, series) in enumerate(bars.items()):
            offset = (number - (len(bars) - 1) / 2) * thickness
            places = [names.index(name) + offset for name in series]
            label = f"{clients} clients"
            colour = COLOURS[number % len(COLOURS)]
            drawn = axes.barh(places, list(series.values()), thickness, color=colour, label=label)
            axes.bar_label(drawn, fmt="%.4g", padding=2, fontsize=8)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    if len(found(rows, "throughput", 1.0)) > 1:
        grid[0].legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    files.write_bytes(path, buffer.getvalue())


def found(rows: Sequence[Measurement], metric: str, unit: float) -> Bars:
    """`{clients: {server: value}}` of a metric, in `unit`s."""
    bars: dict[str, dict[str, float]] = {}
    for row in rows:
        match = SERVER.match(row.setting)
        if match and row.metric == metric:
            bars.setdefault(match["clients"], {})[match["name"]] = row.value / unit
    return bars
