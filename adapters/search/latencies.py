"""Measured times of blocks: a results file that a benchmark of this machine wrote, looked up.

Ours: each block is timed alone, and a network takes as long as its blocks together. MnasNet
(arXiv 1807.11626) times whole networks on a phone, NetAdapt (arXiv 1804.03230) layers, as here.
"""

import dataclasses
import os
import re
from collections.abc import Mapping

from adapters.backbones.rows import Row
from adapters.errors import ModelPatchError
from adapters.search.blocks import BlockSpace
from adapters.search.costs import Costs, priced
from adapters.shown import listed
from adapters.spec import term_text
from adapters.training import tidy

TIME = "time"  # the metric of a row of results that holds one
_TIMED = re.compile(r"(?P<what>.+? \d+ threads), (?P<processor>.+)")


class LatencyError(ModelPatchError):
    """No file of times, or one without the time of a block.

    Attributes:
      table, size, examples, threads: of what was to be timed.
    """

    def __init__(self, said: str, table: str, size: int, examples: int, threads: int):
        super().__init__(said, settings=["latencies"])
        self.table, self.size, self.examples, self.threads = table, size, examples, threads


def measured(
    space: BlockSpace,
    size: int,
    path: str | os.PathLike[str] | None,
    examples: int = 32,
    threads: int = 2,
) -> Costs:
    """The seconds of every route for one image, as they were measured.

    Args:
      space: of the routes.
      size: of the images, in pixels.
      path: of the results file.
      examples, threads: in a batch, and of the processor, when it was measured.

    Raises:
      LatencyError: no file is named or can be read, or it lacks a block's time.
      ColumnsError: it is no results file.
    """

    def wrong(said: str) -> LatencyError:
        return LatencyError(said, space.table.name, size, examples, threads)

    if path is None:
        raise wrong("times of blocks are to be read, and no file is named.")
    try:
        times = read(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise wrong(f"{path}, of times of blocks, cannot be read: {why}.") from error

    def seconds(row: Row, side: int) -> float:
        name = entry(row, side, examples, threads)
        known = times.get(name, {})
        if not known:
            raise wrong(f"{path} has no time of {name}.")
        if len(known) > 1:
            raise wrong(f"{path} has several times of {name}: of {listed(known)}. Keep one's.")
        return next(iter(known.values())) / examples

    return priced(space, size, seconds)


def read(path: str | os.PathLike[str]) -> Mapping[str, Mapping[str, float]]:
    """{what was timed: {processor: seconds of a batch}} of a results file.

    Raises ColumnsError, OSError.
    """
    found: dict[str, dict[str, float]] = {}
    for row in tidy.read(path):
        if row.metric == TIME and (parts := _TIMED.match(row.setting)):
            found.setdefault(parts["what"], {})[parts["processor"]] = row.value / 1000
    return found


def entry(row: Row, side: int, examples: int, threads: int) -> str:
    """What a results file calls the time of a row on a batch of maps of `side` x `side`.

    The processor follows there.
    """
    return f"{row_text(row)}, ours, {side} px, batch {examples}, {threads} threads"


def row_text(row: Row) -> str:
    """A row with every column that is not empty; no two rows have the same.

    >>> from adapters.backbones.rows import Convolution
    >>> row_text(Convolution(inputs=3, outputs=8, kernel=3, stride=2))
    'convolution(inputs=3, outputs=8, kernel=3, stride=2)'
    """
    filled = {
        field.name: getattr(row, field.name)
        for field in dataclasses.fields(row)
        if getattr(row, field.name) != field.default
    }
    return term_text(row.operation, "", filled)
