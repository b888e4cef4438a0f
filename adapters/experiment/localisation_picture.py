"""A picture of localisation: each figure against the share of training images, a line a task."""

import collections
import itertools
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.drawing import PALETTE, STYLE, png
from adapters.errors import ModelPatchError
from adapters.experiment.localisation import ACCURACY, CENTRE, COARSER, PIXELS, V1, V2
from adapters.shown import shown
from adapters.training.tidy import Measurement

FIGURES = (V1, V2, PIXELS, COARSER, ACCURACY)
_SHARE = re.compile(r", ([\d.e-]+) of the training images")
_STYLES = ("-", "--", ":", "-.")
_GREY = "#888888"

_Values = Mapping[tuple[str, str, str], Mapping[float, Sequence[float]]]
"""{(figure, task, patch): {share of the training images: percent, a seed each}}."""


class NothingToDrawError(ModelPatchError):
    """Results without a figure of localisation."""


def picture(rows: Sequence[Measurement], split: str) -> bytes:
    """A PNG of the rows that `Localisation.rows` gives, those of one split.

    A panel a figure, a colour a task, a kind of line a patch: means over seeds, with their standard
    deviation. What the middle of the image gets is grey. Raises NothingToDrawError.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    values = _values(rows, split)
    panels = [name for name in FIGURES if any(name == figure for figure, _, _ in values)]
    if not panels:
        raise NothingToDrawError(f"the results hold no figure of localisation on {split}.")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(panels), 4.0), layout="constrained")
        for axes, name in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _panel(axes, name, values)
        first = figure.axes[0]
        first.set_ylabel("%")
        handles = dict(zip(*reversed(first.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
        return png(figure)


def share_of(setting: str) -> float:
    """The share of the training images that a run's `setting` says; 1 where it says none.

    >>> share_of("64 px, 300 steps, 0.1 of the training images"), share_of("64 px")
    (0.1, 1.0)
    """
    found = _SHARE.search(setting)
    return float(found[1]) if found else 1.0


def _values(rows: Sequence[Measurement], split: str) -> _Values:
    found: dict[tuple[str, str, str], dict[float, list[float]]] = collections.defaultdict(dict)
    for row in rows:
        if row.split == split and row.metric in FIGURES:
            own = found[row.metric, row.task, row.patch]
            own.setdefault(share_of(row.setting), []).append(100 * row.value)
    return found


def _panel(axes: Any, name: str, values: _Values) -> None:
    tasks = list(dict.fromkeys(task for _, task, _ in values))
    patches = list(dict.fromkeys(patch for _, _, patch in values if patch != CENTRE))
    ticks: set[float] = set()
    for (metric, task, patch), own in values.items():
        if metric != name:
            continue
        if patch == CENTRE:
            height = statistics.fmean(itertools.chain.from_iterable(own.values()))
            axes.axhline(height, color=_GREY, linewidth=1, label=CENTRE)
            continue
        shares = sorted(own)
        ticks.update(shares)
        axes.errorbar(
            [100 * share for share in shares],
            [statistics.fmean(own[share]) for share in shares],
            [statistics.stdev(own[share]) if len(own[share]) > 1 else 0 for share in shares],
            color=PALETTE[tasks.index(task) % len(PALETTE)],
            linestyle=_STYLES[patches.index(patch) % len(_STYLES)],
            marker="o",
            markersize=4,
            capsize=2,
            label=shown(f"{task}, {patch}"),
        )
    axes.set_title(name)
    axes.set_xscale("log")
    axes.set_xticks([100 * share for share in sorted(ticks)])
    axes.set_xticklabels([f"{100 * share:g}" for share in sorted(ticks)])
    axes.minorticks_off()
    axes.set_xlabel("% of the training images")
    axes.grid(visible=True, axis="y")
