"""Runs of a few steps, of which a test asks what they write: the rest costs them little."""

import contextlib
import functools
import io

import pytest

from adapters import drawing
from adapters.experiment import classifier_alone
from adapters.training import plots
from tests.quick import compiled_quickly

DOTS = 40  # an inch of a picture


@contextlib.contextmanager
def cheap_runs():
    """What runs within compiles quickly, and does little beside training."""
    with compiled_quickly(), little_beside_training():
        yield


@contextlib.contextmanager
def little_beside_training():
    """Runs draw their curves coarsely, and fit classifiers alone to one batch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "plots", functools.partial(_coarsely, plots.plots))
        patch.setattr(classifier_alone, "IMAGES", 1)
        yield


def _coarsely(draw, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "png", _coarse)
        return draw(*arguments)


def _coarse(figure):
    """The same picture without the search of a layout, which takes as long as all else."""
    figure.set_layout_engine("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS, metadata={"Software": None})
    return buffer.getvalue()
