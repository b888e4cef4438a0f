"""Pictures of how a split was answered: which classes for which, and how surely."""

from typing import TYPE_CHECKING

import numpy as np

from adapters import drawing
from adapters.heads.assessment import BINS, Assessment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NUMBERED, NAMED = 20, 60  # classes: so many have their counts written in, so many their names
_LABEL = 24  # characters


def confusion(title: str, assessment: Assessment) -> bytes:
    """A PNG: a row a class, a column an answer; the darker, the larger the share of the row.

    Up to 20 classes have the counts written in, up to 60 their names; the same answers give the
    same bytes.
    """
    import matplotlib  # Here, as it adds half a second to the start of every command.
    from matplotlib.figure import Figure

    counts = assessment.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = len(counts)
    side = min(12.0, 3.0 + 0.45 * classes)
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(side + 1.5, side), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set(title=f"{title}: answers by class", xlabel="answer", ylabel="class")
        if classes <= NUMBERED:
            _number(axes, assessment, shares)
        if classes <= NAMED:
            names = [_short(label) for label in assessment.labels]
            axes.set_xticks(range(classes), names, rotation=90, fontsize=8)
            axes.set_yticks(range(classes), names, fontsize=8)
        bar = figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label("share of the class's images")
        return drawing.png(figure)


def calibration(title: str, assessment: Assessment) -> bytes:
    """A PNG: accuracy against confidence, and below how many answers were how sure.

    A patch that can be trusted lies on the diagonal (Guo et al., arXiv 1706.04599, figure 1).
    """
    import matplotlib
    from matplotlib.figure import Figure

    bins = [one for one in assessment.bins if one.images]
    error = 100 * assessment.calibration_error
    with matplotlib.rc_context(drawing.STYLE):
        figure = Figure(figsize=(5.5, 6.5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.bar(
            [one.lowest for one in bins],
            [one.accuracy for one in bins],
            width=1 / BINS,
            align="edge",
            color=drawing.SKY,
            edgecolor="white",
            label="accuracy",
        )
        above.plot(
            [one.confidence for one in bins],
            [one.accuracy for one in bins],
            "o",
            color=drawing.BLUE,
            label="at the mean confidence",
        )
        above.plot([0, 1], [0, 1], "--", color="#666666", label="as sure as right")
        above.set(
            title=f"{title}: expected calibration error {error:.1f} %",
            ylabel="share that is right",
            xlim=(0, 1),
            ylim=(0, 1.02),
        )
        above.legend(loc="upper left", fontsize=9)
        below.bar(
            [one.lowest for one in bins],
            [one.images for one in bins],
            width=1 / BINS,
            align="edge",
            color=drawing.ORANGE,
            edgecolor="white",
        )
        below.set(xlabel="confidence: probability of the answer", ylabel="images")
        for axes in (above, below):
            axes.grid(visible=True, axis="y")
        return drawing.png(figure)


def _number(axes: "Axes", assessment: Assessment, shares: "np.ndarray") -> None:
    for (row, column), count in np.ndenumerate(assessment.counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "#222222"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)


def _short(label: str) -> str:
    return label if len(label) <= _LABEL else label[: _LABEL - 1] + "\u2026"
