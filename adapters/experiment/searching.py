"""A search for a route a task through one shared network, and training of what it found."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from adapters.built import built
from adapters.errors import UnknownNameError
from adapters.experiment import backbones, chosen_tasks, route_record
from adapters.experiment.chosen_tasks import Wanted
from adapters.experiment.half_shared import HalfShared
from adapters.experiment.routed_run import RoutedRun
from adapters.experiment.settings import SettingError, Settings, settings_of
from adapters.search.blocks import BlockSpace, block_space, largest
from adapters.search.chooser import CHOOSERS, one_for_all
from adapters.search.controls import routes_of_equal_cost
from adapters.search.costs import multiply_adds
from adapters.search.rewards import REWARDS, Reward, RewardError
from adapters.search.supernet import Searching, supernet
from adapters.spec import SpecError, parse
from adapters.training import cluster
from adapters.training.reading import Batches
from adapters.training.recipe import Recipe
from adapters.training.step import Trainer
from tasks.task import Task

SHARED_RATE = 1e-3
"""Of the shared weights, which have to learn to do without what routes leave out."""
PARTS = 4  # of the training images, one is held out to score routes on
FIXED = ("random", "largest", "first_half")
"""Algorithms that search nothing: controls of those that do."""
ALGORITHMS = (*CHOOSERS, *FIXED)
EACH, ONE = "each", "one"


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """What a search is told beside what every run is.

    Attributes:
      budget: what a route may cost, as a share of the largest one's multiply-adds.
      share: of the steps that search; the rest trains the routes that were found.
      reward: of a route, as a spec: one of `adapters.search.rewards.REWARDS`.
      rate: of the controllers, when they begin to learn.
      algorithm: one of `ALGORITHMS`. Those of `FIXED` search nothing and train all the time:
        routes drawn at the budget's cost, the largest one, or no routes, where the first half of
        the blocks is shared and each task has the second half to itself.
      routes: a file of routes that a search wrote, to train those alone; in place of all above.
      controllers: `each` task has one, or there is `one` for all, whose routes are the same.
      warm_up: share of the search before controllers learn, see `adapters.search.supernet`.

    Raises SettingError, SpecError or RewardError for a value out of its range.
    """

    budget: float = 0.7
    share: float = 0.5
    reward: str = "absolute(weight=0.3)"
    rate: float = 0.01
    algorithm: str = "controller"
    routes: str | None = None
    controllers: str = EACH
    warm_up: float = 0.25

    def __post_init__(self) -> None:
        for name, low in (("budget", 0), ("share", 0), ("rate", 0)):
            value = getattr(self, name)
            if not low < value <= 1:
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
        self.made_reward()

    def made_reward(self) -> Reward:
        """The function that `reward` names."""
        terms = parse(self.reward, "reward")
        if len(terms) != 1 or terms[0].inner:
            raise SpecError(f"the reward {self.reward!r} must be one of {', '.join(REWARDS)}.")
        name, settings = terms[0].name, terms[0].settings
        if name not in REWARDS:
            raise UnknownNameError("reward", name, REWARDS)
        return built("reward", name, REWARDS[name], settings, RewardError)


class Search(RoutedRun):
    """A `RoutedRun` that finds its routes while it trains, and then trains them on."""

    def __init__(
        self,
        tasks: Sequence[Task],
        settings: Settings,
        space: BlockSpace,
        search: SearchSettings,
        directory: str | os.PathLike[str],
        command: str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        test: bool = True,
    ):
        """Loads what the search needs; writes nothing.

        Args:
          tasks: classifiers, of which each gets a route.
          settings: of the run, for one group a task in a step, with trained shared weights.
          space: as for a `RoutedRun`.
          search: how to search.
          directory, command, resume, overwrite, test: as for a `Run`.

        Raises SettingError where they do not fit a search, SearchError for tasks that are not
        classified, ClusterError where several processes train together, and what a `RoutedRun`
        raises.
        """
        cluster.check_alone("a search")
        _check(settings, len(tasks))
        whole = np.stack([largest(space)] * len(tasks))
        super().__init__(
            *(tasks, settings, space, whole, directory, command, resume, overwrite, test)
        )
        cost = self._costs.exact(whole[0])
        target = search.budget * cost
        chooser = CHOOSERS[search.algorithm](space.space, self._costs, target)
        self._search = Searching(
            space,
            self._costs,
            target,
            search.made_reward(),
            settings.recipe.steps,
            search.share,
            search.rate,
            chooser if search.controllers == EACH else one_for_all(chooser, len(tasks)),
            search.warm_up,
        )
        self._configuration = {**self._configuration, "search": dataclasses.asdict(search)}
        logging.info(
            "%s has %d decisions and %.2g routes; each may cost %.1f of %.1f million multiply-adds",
            *(space.table.name, len(space.space), space.space.count()),
            *(self._search.target / 1e6, cost / 1e6),
        )

    def _trainer(
        self, recipe: Recipe, pixels: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> Trainer:
        made = super()._trainer(recipe, pixels)
        return supernet(made, self.backbone.network, self._patch, recipe, pixels, self._search)

    def _batches(self, *purpose: str, part: int = 0, parts: int = 1) -> list[Batches]:
        if purpose:
            return super()._batches(*purpose, part=part, parts=parts)
        held, *train = (super(Search, self)._batches(part=each, parts=PARTS) for each in range(4))
        return [TrainedAndHeld(own, beside) for *own, beside in zip(*train, held, strict=True)]


def search(
    tasks: Wanted | Sequence[Wanted],
    *,
    directory: str | os.PathLike[str],
    search: SearchSettings | None = None,
    resume: bool = False,
    overwrite: bool = False,
    test: bool = True,
    command: str | None = None,
    **settings: Any,
) -> RoutedRun | HalfShared:
    """Searches a route a task, trains what it found, and returns the run that did it.

    Args:
      tasks: as for `adapters.fit`; classifiers.
      directory: for patch files, the shared network, checkpoints, metrics and pictures.
      search: how to search; by default as `SearchSettings` has it.
      resume, overwrite, test, command: as for `adapters.fit`.
      settings: fields of `Settings` and of `Recipe` by name. Of those that are not given, shared
        weights are trained at `SHARED_RATE`, a step has one group of each task, tasks are weighed
        by `balanced`, norms have each task's own statistics, and the last step ships.

    Raises RouteFileError, and what `RoutedRun`, `Search` and `adapters.fit` raise.
    """
    wanted = chosen_tasks.chosen(tasks)
    own = {name: value for name, value in settings.items() if value is not None}
    defaults: dict[str, Any] = {
        "train_shared": True,
        "groups": len(wanted),
        "scheduler": "balanced",
        "checkpoint": "last",
        "norm": "batch",
    }
    how = search or SearchSettings()
    if own.get("train_shared", True):
        defaults["shared_rate"] = SHARED_RATE
    if how.algorithm == "first_half":
        defaults["patch_rate"] = SHARED_RATE  # of whole weights, as the shared ones are
    run = planned(
        *(wanted, settings_of(**{**defaults, **own}), how),
        *(directory, command, resume, overwrite, test),
    )
    for _ in run:
        pass
    return run


def planned(
    tasks: Sequence[Task],
    settings: Settings,
    search: SearchSettings,
    directory: str | os.PathLike[str],
    command: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    test: bool = True,
) -> RoutedRun | HalfShared:
    """The run that `search` asks for, not begun; its other arguments are a `Run`'s."""
    others = (directory, command, resume, overwrite, test)
    space = block_space(backbones.load(settings.backbone, settings.weights).network.table)
    if search.algorithm == "first_half":
        return HalfShared(tasks, settings, space.table, *others)
    whole = np.stack([largest(space)] * len(tasks))
    if search.routes is not None:
        names = [task.name for task in tasks]
        return RoutedRun(
            tasks, settings, space, route_record.read(search.routes, space, names), *others
        )
    if search.algorithm == "largest":
        return RoutedRun(tasks, settings, space, whole, *others)
    if search.algorithm == "random":
        costs = multiply_adds(space, settings.size)
        target = search.budget * costs.exact(whole[0])
        drawn = routes_of_equal_cost(space, costs, target, len(tasks), settings.seed)
        return RoutedRun(tasks, settings, space, drawn, *others)
    return Search(tasks, settings, space, search, *others)


class TrainedAndHeld:
    """Batches whose first half trains and whose second half, other images, never does.

    Args:
      train: batches of parts of the training images, taken in turn.
      held: of another part.
    """

    def __init__(self, train: Sequence[Batches], held: Batches):
        self._train, self._held = list(train), held

    def __getitem__(self, number: int) -> Mapping[str, np.ndarray]:
        turn, part = divmod(number, len(self._train))
        first, second = self._train[part][turn], self._held[number]
        return {name: np.concatenate([first[name], second[name]]) for name in first}


def _check(settings: Settings, total: int) -> None:
    if not settings.train_shared:
        raise SettingError("train_shared", "is off: a search trains the network that routes share.")
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
