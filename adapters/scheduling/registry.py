"""Rules by name: what a run's texts become."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from adapters.built import built
from adapters.errors import UnknownNameError
from adapters.scheduling import samplers, sampling
from adapters.scheduling.achievement import achievement
from adapters.scheduling.balanced import balanced
from adapters.scheduling.contract import (
    NORMS,
    Combine,
    Sampler,
    Sampling,
    Scheduling,
    SchedulingError,
    Tasks,
    Weighting,
)
from adapters.scheduling.dynamic_task_prioritisation import dynamic_task_prioritisation
from adapters.scheduling.dynamic_weight_average import dynamic_weight_average
from adapters.scheduling.gradnorm import gradnorm
from adapters.scheduling.pcgrad import pcgrad
from adapters.scheduling.uncertainty import uncertainty
from adapters.scheduling.unit import unit
from adapters.scheduling.upgrad import upgrad
from adapters.spec import SpecError, Term, parse

SAMPLINGS: dict[str, Callable[..., Sampling]] = {
    "uniform": sampling.uniform,
    "proportional": sampling.proportional,
    "temperature": sampling.temperature,
    "unimax": sampling.unimax,
}
WEIGHTINGS: dict[str, Callable[..., Weighting]] = {
    "unit": unit,
    "uncertainty": uncertainty,
    "dynamic_task_prioritisation": dynamic_task_prioritisation,
    "dynamic_weight_average": dynamic_weight_average,
    "achievement": achievement,
    "balanced": balanced,
    "gradnorm": gradnorm,
}
COMBINES: dict[str, Callable[..., Combine | None]] = {
    "sum": lambda: None,
    "pcgrad": pcgrad,
    "upgrad": upgrad,
}
PRIORITIES = ("dynamic_task_prioritisation", "dynamic_weight_average", "achievement", "balanced")
"""The weightings by which tasks can be drawn, too."""


def check(sampling: str, scheduler: str, gradients: str) -> None:
    """Raises as `sampler` and `scheduling` do of any tasks."""
    term = _term(sampling, "sampling rule", [*SAMPLINGS, *PRIORITIES])
    _of_term(term, "sampling rule", {**WEIGHTINGS, **SAMPLINGS})
    _two(scheduler, gradients)


def sampler(spec: str, tasks: Tasks, steps: int) -> Sampler:
    """How `spec` draws the tasks of a run of `steps`: one of `SAMPLINGS` or `PRIORITIES`.

    Raises:
      UnknownNameError: no such rule; near names are offered.
      SpecError: `spec` cannot be read.
      SchedulingError: a setting that the rule lacks, out of its range, or tasks it cannot draw.
    """
    term = _term(spec, "sampling rule", [*SAMPLINGS, *PRIORITIES])
    if term.name in PRIORITIES:
        return samplers.prioritised(_of_term(term, "sampling rule", WEIGHTINGS), tasks, steps)
    return samplers.fixed(_of_term(term, "sampling rule", SAMPLINGS), tasks)


def scheduling(scheduler: str, gradients: str, tasks: Tasks) -> Scheduling:
    """How `scheduler`, one of `WEIGHTINGS`, and `gradients`, one of `COMBINES`, treat tasks.

    Raises as `sampler`, and SchedulingError for two rules that both look at gradients.
    """
    return Scheduling(*_two(scheduler, gradients), tasks)


def plain(tasks: Tasks) -> Scheduling:
    """Weights of 1 and gradients added up."""
    return scheduling("unit", "sum", tasks)


def _two(scheduler: str, gradients: str) -> tuple[Weighting, Combine | None]:
    weighting: Weighting = _made(scheduler, "scheduler", WEIGHTINGS)
    combine: Combine | None = _made(gradients, "gradient rule", COMBINES)
    if combine is not None and NORMS in weighting.reads:
        raise SchedulingError(
            f"{scheduler} weighs tasks by their gradients, which {gradients} then changes: take "
            "one of the two.",
            settings=["scheduler", "gradients"],
        )
    return weighting, combine


def _made(spec: str, what: str, constructors: Mapping[str, Callable[..., Any]]) -> Any:
    term = _term(spec, what, constructors)
    return _of_term(term, what, constructors)


def _term(spec: str, what: str, known: Collection[str]) -> Term:
    terms = parse(spec, what)
    if len(terms) != 1 or terms[0].inner:
        raise SpecError(f"the {what} {spec!r} must be one rule: {', '.join(known)}.")
    if terms[0].name not in known:
        raise UnknownNameError(what, terms[0].name, known)
    return terms[0]


def _of_term(term: Term, what: str, constructors: Mapping[str, Callable[..., Any]]) -> Any:
    return built(what, term.name, constructors[term.name], term.settings, SchedulingError)
