"""A picture of a network's cost: multiply-adds, memory and time by layer."""

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from adapters import drawing
from adapters.analysis.cost import NetworkCost
from adapters.analysis.roofline import Machine
from adapters.analysis.tracing import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KINDS: dict[Kind, tuple[str, str]] = {
    "convolution": (drawing.VERMILION, "k x k convolution"),
    "depthwise": (drawing.ORANGE, "depthwise"),
    "pointwise": (drawing.BLUE, "1x1"),
    "dense": (drawing.GREEN, "fully connected"),
    "product": (drawing.PURPLE, "product of activations"),
    "other": ("#9A9A9A", "between layers"),
}
_INK, _BAND = "#222222", "#f3f3f3"
_MOST_NAMES = 65  # beside one another


def picture(title: str, cost: NetworkCost, machine: Machine) -> bytes:
    """A PNG: a bar a layer, in the order they run; the same figures give the same bytes.

    In the last row a black line in a bar is what its multiply-adds alone would take.
    """
    import matplotlib  # Here, as it adds half a second to the start of every command.
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    layers, peak, total = cost.layers, cost.peak, cost.seconds(machine)
    memory = sum(layer.seconds(machine) for layer in layers if layer.limit(machine) == "memory")
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(11.0, 8.5), layout="constrained")
        above, middle, below = figure.subplots(3, 1, sharex=True)
        figure.suptitle(title, x=0.01, ha="left", fontsize=14, fontweight="bold")
        _bars(above, cost, (layer.multiply_adds / 1e6 for layer in layers))
        above.set_title(f"Multiply-adds: {cost.multiply_adds / 1e6:,.1f} million")
        above.set_ylabel("million")
        _bars(middle, cost, (layer.live_bytes / 1e6 for layer in layers))
        middle.set_title(
            f"Activations in memory: {peak.live_bytes / 1e6:,.3g} MB at most, in {peak.path}"
        )
        middle.set_ylabel("MB")
        _bars(below, cost, (1e3 * layer.seconds(machine) for layer in layers))
        products = [1e3 * machine.seconds(layer.multiply_adds, 0) for layer in layers]
        places = [place for place, layer in enumerate(layers) if layer.multiply_adds]
        ends = [place - 0.42 for place in places], [place + 0.42 for place in places]
        below.hlines([products[place] for place in places], *ends, color=_INK, linewidth=1.4)
        below.set_title(
            f"Time on the roofline of {machine.name}: {1e3 * total:,.3g} ms, "
            f"{memory / max(total, 1e-30):.0%} of it limited by memory"
        )
        below.set_ylabel("ms")
        _name_blocks(below, cost)
        handles: list[Any] = [
            matplotlib.patches.Patch(color=colour, label=label)
            for kind, (colour, label) in _KINDS.items()
            if kind in {layer.kind for layer in layers}
        ]
        handles.append(Line2D([], [], color=_INK, linewidth=1.4, label="compute alone"))
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
        return drawing.png(figure)


def _bars(axes: "Axes", cost: NetworkCost, heights: Iterable[float]) -> None:
    colours = [_KINDS[layer.kind][0] for layer in cost.layers]
    for _, first, last in _blocks(cost)[::2]:
        axes.axvspan(first - 0.5, last + 0.5, color=_BAND, linewidth=0, zorder=0)
    axes.bar(range(len(colours)), list(heights), width=0.84, color=colours)
    axes.grid(visible=True, axis="y")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(colours) - 0.5)


def _name_blocks(axes: "Axes", cost: NetworkCost) -> None:
    """Names those with layers in them, and of two names that would touch only the first."""
    centres, names = list[float](), list[str]()
    for name, first, last in _blocks(cost):
        centre = (first + last) / 2
        apart = not centres or centre - centres[-1] >= len(cost.layers) / _MOST_NAMES
        if apart and any(layer.kind != "other" for layer in cost.layers[first : last + 1]):
            centres.append(centre)
            names.append(name.removeprefix("block_"))
    axes.set_xticks(centres, names, fontsize=8)
    for label in axes.get_xticklabels():
        label.set_rotation(0 if label.get_text().isdigit() else 90)


def _blocks(cost: NetworkCost) -> list[tuple[str, int, int]]:
    """Each block's name, and the places of its first and last layer."""
    numbered = enumerate(layer.path.partition("/")[0] for layer in cost.layers)
    runs = [(name, list(run)) for name, run in itertools.groupby(numbered, lambda pair: pair[1])]
    return [(name, run[0][0], run[-1][0]) for name, run in runs]
