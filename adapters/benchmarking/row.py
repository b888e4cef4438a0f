"""A row of a benchmark's results: of a network by itself, so of no task, no seed and no split."""

from adapters.training.tidy import Measurement


def row(
    backbone: str, setting: str, metric: str, value: float, unit: str, command: str, patch: str = ""
) -> Measurement:
    """The measurement, with five digits where `value` is no integer; see `Measurement`."""
    number = value if isinstance(value, int) else float(f"{value:.5g}")
    return Measurement("", backbone, patch, setting, 0, "", metric, number, unit, command)
