"""Costs of routes by name: `multiply_adds`, a device's seconds, or those of several devices.

A device is one of `analysis.roofline.MACHINES`, a `machine` that is declared by its two speeds, or
this one, `measured`. The mean and the worst case of several are the metrics of Chu et al.,
"Discovering Multi-Hardware Mobile Models via Architecture Search", arXiv 2008.08178.
"""

import functools
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from adapters.analysis.roofline import MACHINES, Machine
from adapters.built import built
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.search import latencies
from adapters.search.blocks import BlockSpace
from adapters.search.costs import Costs, RouteCosts, multiply_adds, over, roofline
from adapters.search.rewards import SUMMARIES
from adapters.spec import SpecError, Term, parse

MULTIPLY_ADDS, MEASURED = "multiply_adds", "measured"


class CostNameError(ModelPatchError):
    """A setting that a cost does not have."""

    settings = ("cost",)


class Asked(NamedTuple):
    """Whose costs are asked for: of routes of `space`, for images of `size` pixels.

    Attributes:
      space: of the routes.
      size: of images, in pixels.
      times: path of the results file of `measured` times.
    """

    space: BlockSpace
    size: int
    times: str | os.PathLike[str] | None


Device = Callable[[Asked], Costs]


def on_roofline(machine: Machine, bytes_per_value: int = 4) -> Device:
    """The seconds of an image on a declared machine."""
    return lambda asked: roofline(asked.space, asked.size, machine, bytes_per_value)


def own_machine(
    multiply_adds_per_second: float, bytes_per_second: float, bytes_per_value: int = 4
) -> Device:
    """The seconds of an image on a machine of these speeds. Raises MachineError."""
    declared = Machine("machine", multiply_adds_per_second, bytes_per_second)
    return on_roofline(declared, bytes_per_value)


def measured(batch: int = 32, threads: int = 2) -> Device:
    """The seconds of an image as they were measured in such batches, by so many threads."""
    return lambda asked: latencies.measured(asked.space, asked.size, asked.times, batch, threads)


DEVICES: Mapping[str, Callable[..., Device]] = {
    **{name: functools.partial(on_roofline, machine) for name, machine in MACHINES.items()},
    "machine": own_machine,
    MEASURED: measured,
}
COSTS = (MULTIPLY_ADDS, *DEVICES, *SUMMARIES)


def costing(spec: str) -> Callable[[Asked], RouteCosts]:
    """What `spec` names: `multiply_adds`, `edge_tpu`, `worst(cpu+dsp)`, `mean(cpu+measured)`.

    Raises SpecError, UnknownNameError, CostNameError or MachineError.
    """
    (term, *more) = parse(spec, "cost")
    if more:
        raise SpecError(f"the cost {spec!r} is of several: in brackets, mean({spec}), say.")
    if term.name in SUMMARIES:
        return _summary(term)
    if term.name != MULTIPLY_ADDS:
        return _device(term)
    if term.inner or term.settings:
        raise CostNameError(f"{MULTIPLY_ADDS} has no settings.")
    return lambda asked: multiply_adds(asked.space, asked.size)


def _summary(term: Term) -> Callable[[Asked], RouteCosts]:
    if not term.inner or term.settings:
        raise CostNameError(f"{term.name} is of devices: {term.name}({'+'.join(MACHINES)}), say.")
    devices = [_device(one) for one in term.inner]
    return lambda asked: over(tuple(one(asked) for one in devices), asked.space, term.name)


def _device(term: Term) -> Device:
    if term.name not in DEVICES:
        raise UnknownNameError("cost", term.name, COSTS)
    if term.inner:
        raise CostNameError(f"{term.name} takes nothing in brackets but its settings.")
    return built("cost", term.name, DEVICES[term.name], term.settings, CostNameError)
