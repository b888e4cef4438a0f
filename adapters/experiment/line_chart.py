"""A small line chart as SVG, for a web page: it has no colours of its own but classes to style.

`frame`, `grid` and `tick` are of the axes; a line has the class that it is given.
"""

import html
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 280, 150  # units of the picture
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 10, 8, 20
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # times a power of ten: what ticks may lie apart


class Line(NamedTuple):
    """Values against steps, in a look: a name of a class.

    Where a value is not finite the line is broken; `dots` marks each value, and names it.
    """

    look: str
    steps: Sequence[int]
    values: Sequence[float]
    dots: bool = False


class Range(NamedTuple):
    """What an axis covers."""

    low: float
    high: float


def line_chart(said: str, lines: Sequence[Line], steps: int, values: Range) -> str:
    """Draws lines over steps from 0 to `steps`, and over a range of values.

    `said` is what a screen reader says of it. Values out of range are drawn at its edge.
    """
    drawn = "".join([*_grid(steps, values), *(_line(line, steps, values) for line in lines)])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(said)}">'
        f"{drawn}</svg>"
    )


def around(values: Sequence[float], least: Range) -> Range:
    """The range of all finite values and of `least`."""
    finite = [value for value in values if math.isfinite(value)]
    return Range(min([least.low, *finite]), max([least.high, *finite]))


def ticks(values: Range, most: int = 5) -> list[float]:
    """Round numbers within a range, at most so many and at equal distances.

    >>> ticks(Range(0, 1)), ticks(Range(60, 100))
    ([0.0, 0.25, 0.5, 0.75, 1.0], [60.0, 70.0, 80.0, 90.0, 100.0])
    """
    span = values.high - values.low
    if span <= 0:
        return [values.low]
    power = 10.0 ** math.floor(math.log10(span / most))
    for step in (factor * power for factor in (*_STEPS, 20.0)):
        first, last = math.ceil(values.low / step - 1e-9), math.floor(values.high / step + 1e-9)
        if last - first < most:
            break
    return [number * step for number in range(first, last + 1)]


def _grid(steps: int, values: Range) -> Iterator[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for value in ticks(values):
        y = _y(value, values)
        yield f'<path class="grid" d="M{_LEFT} {y}H{right}"/>'
        yield f'<text class="tick" x="{_LEFT - 5}" y="{y}" dy=".32em">{value:g}</text>'
    for step, anchor in ((0, "start"), (steps, "end")):
        x = _x(step, steps)
        yield f'<text class="tick {anchor}" x="{x}" y="{HEIGHT - 6}">{step:,}</text>'
    yield f'<path class="frame" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>'


def _line(line: Line, steps: int, values: Range) -> str:
    path, pen_down, dots = [], False, []
    for step, value in zip(line.steps, line.values, strict=True):
        if not math.isfinite(value):
            pen_down = False
            continue
        x, y = _x(step, steps), _y(value, values)
        path.append(f"{'L' if pen_down else 'M'}{x} {y}")
        pen_down = True
        if line.dots:
            title = f"<title>step {step:,}: {value:.4g}</title>"
            dots.append(f'<circle class="{line.look}" cx="{x}" cy="{y}" r="3">{title}</circle>')
    return f'<path class="{line.look}" d="{"".join(path)}"/>{"".join(dots)}' if path else ""


def _x(step: int, steps: int) -> str:
    share = min(step / max(steps, 1), 1.0)
    return f"{_LEFT + share * (WIDTH - _LEFT - _RIGHT):.1f}"


def _y(value: float, values: Range) -> str:
    span = values.high - values.low
    share = min(max((value - values.low) / span, 0.0), 1.0) if span > 0 else 0.5
    return f"{HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM):.1f}"
