"""What a search is told beside what every run is."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence

from adapters.built import built
from adapters.errors import UnknownNameError
from adapters.experiment.settings import SettingError, Settings
from adapters.search.chooser import CHOOSERS
from adapters.search.cost_names import MEASURED, MULTIPLY_ADDS, costing
from adapters.search.rewards import REWARDS, Reward, RewardError
from adapters.spec import SpecError, parse
from tasks.task import Task

FIXED = ("random", "largest", "first_half", "uniform")
"""Algorithms that search nothing: controls of those that do."""
ALGORITHMS = (*CHOOSERS, "netadapt", *FIXED)
EACH, ONE = "each", "one"
BLOCKS, WIDTHS, PLACEMENT = "blocks", "widths", "placement"
SPACES = (BLOCKS, WIDTHS, PLACEMENT)
"""Routes through a shared network, of all that may be left out or of channels alone; or where a
task's patches stand on a frozen one."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """What a search is told beside what every run is.

    Attributes:
      budget: what a route may cost, as a share of the largest one's; of `PLACEMENT`, the bytes that
        a task's edits may take.
      search_share: of the steps that search; the rest trains the routes that were found.
      reward: of a route, as a spec: one of `adapters.search.rewards.REWARDS`.
      rate: of the controllers, when they begin to learn.
      algorithm: one of `ALGORITHMS`; `netadapt` finds one route for all tasks. Those of `FIXED`
        search nothing and train all the time: routes drawn at the budget's cost, the largest one,
        one width for all blocks, or no routes, where the first half of the blocks is shared and
        each task has the second half to itself.
      routes: a file of routes that a search wrote, to train those alone; in place of all above.
      controllers: `each` task has one, or there is `one` for all, whose routes are the same.
      warm_up: share of the search before controllers learn, see `adapters.search.supernet`.
      space: one of `SPACES`; `controller` and `random` alone know `PLACEMENT`.
      cost: of a route, as a spec: see `adapters.search.cost_names`.
      latencies: a results file of the times of blocks, for the cost `measured`.
      sharing: what is taken from every reward, times the share of the largest network's parameters
        that all routes of a step use together.
      statistics: of norms: `each` task has its own, or there is `one` set, measured over all tasks.

    Raises SettingError, SpecError, RewardError, CostNameError or MachineError for a value out of
    its range.
    """

    budget: float = 0.7
    search_share: float = 0.5
    reward: str = "absolute(weight=0.3)"
    rate: float = 0.01
    algorithm: str = "controller"
    routes: str | None = None
    controllers: str = EACH
    warm_up: float = 0.25
    space: str = BLOCKS
    cost: str = MULTIPLY_ADDS
    latencies: str | None = None
    sharing: float = 0.0
    statistics: str = EACH

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise UnknownNameError("space", self.space, SPACES)
        for name in ("search_share", "rate", *(("budget",) if self.space != PLACEMENT else ())):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise SettingError(name, f"must be above 0 and at most 1, not {value}.")
        if not 0 <= self.warm_up < 1:
            raise SettingError("warm_up", f"must be from 0 to below 1, not {self.warm_up}.")
        if self.algorithm not in ALGORITHMS:
            raise UnknownNameError("algorithm", self.algorithm, ALGORITHMS)
        if self.controllers not in (EACH, ONE):
            raise UnknownNameError("number of controllers", self.controllers, (EACH, ONE))
        if self.routes is not None and self.algorithm != SearchSettings.algorithm:
            raise SettingError(
                "routes", f"are to be trained, and {self.algorithm} is to find some: choose one."
            )
        if self.statistics not in (EACH, ONE):
            raise UnknownNameError("choice of statistics", self.statistics, (EACH, ONE))
        if not 0 <= self.sharing < math.inf:
            raise SettingError("sharing", f"must be 0 or more, not {self.sharing}.")
        if self.space == PLACEMENT:
            self._check_placement()
        if self.statistics == ONE and (self.space == PLACEMENT or self.algorithm == "first_half"):
            raise SettingError("statistics", "are one for all only of routes through one network.")
        if self.sharing and (self.space == PLACEMENT or self.algorithm not in CHOOSERS):
            raise SettingError("sharing", "is of routes that each task has its own of, and learns.")
        self.made_reward()
        costing(self.cost)
        if self.latencies is not None and MEASURED not in self.cost:
            raise SettingError(
                "latencies", f"are for the cost {MEASURED}, and routes cost {self.cost}.", "cost"
            )

    @property
    def text(self) -> str:
        """What results call it: all that is not as it is by default, and files by their names.

        >>> SearchSettings(space="placement", budget=40000).text
        'search(space=placement, budget=40000)'
        """
        told = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                told[field.name] = f"{value:g}" if isinstance(value, float | int) else value
        for name in ("routes", "latencies"):
            if name in told:
                told[name] = pathlib.PurePath(told[name]).name
        space = {"space": told.pop("space")} if "space" in told else {}
        return f"search({', '.join(f'{name}={value}' for name, value in (space | told).items())})"

    def _check_placement(self) -> None:
        if not 1 <= self.budget < math.inf:
            raise SettingError(
                "budget", f"of a placement is of bytes, 1 or more, not {self.budget}."
            )
        known = ("controller", "random")
        if self.algorithm not in known or self.routes is not None:
            raise SettingError(
                "algorithm",
                f"of a placement is {' or '.join(known)}, without routes to begin with.",
            )
        if self.cost != MULTIPLY_ADDS:
            raise SettingError("cost", f"is {self.cost}, and that of a placement is its bytes.")

    def made_reward(self) -> Reward:
        """The function that `reward` names."""
        terms = parse(self.reward, "reward")
        if len(terms) != 1 or terms[0].inner:
            raise SpecError(f"the reward {self.reward!r} must be one of {', '.join(REWARDS)}.")
        name, settings = terms[0].name, terms[0].settings
        if name not in REWARDS:
            raise UnknownNameError("reward", name, REWARDS)
        return built("reward", name, REWARDS[name], settings, RewardError)


def check_one_size(settings: Settings, tasks: Sequence[Task]) -> None:
    """Raises SettingError where tasks have images of other sizes than the run's."""
    if set(settings.sizes(tasks)) != {settings.size}:
        raise SettingError(
            "size",
            f"is {settings.size}, and tasks have sizes of their own: a search compares what is "
            "found at one size. Give that size for all.",
        )


def check_search(settings: Settings, tasks: Sequence[Task]) -> None:
    """Raises SettingError unless a run with these settings can be a search for these tasks."""
    total = len(tasks)
    if settings.groups != total or settings.sampling != "uniform":
        raise SettingError(
            "groups",
            f"is {settings.groups} with the sampling {settings.sampling}: a search takes one group "
            f"of every task in a step, {total} of them, drawn uniformly.",
            "sampling",
        )
    if settings.teacher is not None:
        raise SettingError("teacher", "is of no use to a search: train its routes with one.")
    if settings.ships_best:
        raise SettingError(
            "checkpoint", "must be last: the routes are those of the search's end, not before."
        )
