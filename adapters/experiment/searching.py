"""A search for a route a task through one shared network, and training of what it found."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from adapters import files
from adapters.backbones.builder import count_parameters
from adapters.built import built
from adapters.errors import UnknownNameError
from adapters.experiment import backbones, chosen_tasks, route_picture
from adapters.experiment.chosen_tasks import Wanted
from adapters.experiment.settings import SettingError, Settings, settings_of
from adapters.experiment.training_run import Run
from adapters.patches.combine import chain
from adapters.patches.registry import from_spec, text_of
from adapters.search.blocks import BlockSpace, block_space, largest
from adapters.search.costs import Costs, multiply_adds
from adapters.search.cropped import cropped_table
from adapters.search.rewards import REWARDS, Reward, RewardError
from adapters.search.route import differences, route
from adapters.search.supernet import Searching, routes_of, supernet
from adapters.search.union import union
from adapters.spec import SpecError, parse
from adapters.store.kinds import Array, Edits
from adapters.training import cluster, loop, packing
from adapters.training.reading import Batches
from adapters.training.recipe import Recipe
from adapters.training.report import Row
from adapters.training.step import State, Trainer
from tasks.task import Task

ROUTES, PICTURE = "routes.json", "routes.png"
SHARED_RATE = 1e-3
"""Of the shared weights, which have to learn to do without what routes leave out."""
PARTS = 4  # of the training images, one is held out to score routes on


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """What a search is told beside what every run is.

    Attributes:
      budget: what a route may cost, as a share of the largest one's multiply-adds.
      share: of the steps that search; the rest trains the routes that were found.
      reward: of a route, as a spec: one of `adapters.search.rewards.REWARDS`.
      rate: of the controllers, when they begin to learn.

    Raises SettingError, SpecError or RewardError for a value out of its range.
    """

    budget: float = 0.7
    share: float = 0.5
    reward: str = "absolute(weight=0.3)"
    rate: float = 0.01

    def __post_init__(self) -> None:
        for name, low in (("budget", 0), ("share", 0), ("rate", 0)):
            value = getattr(self, name)
            if not low < value <= 1:
                raise SettingError(name, f"must be above 0 and at most 1, not {value}.")
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


class Search(Run):
    """A `Run` that finds a route a task, trains all of them as one network, and ships patches.

    Its files are a run's: `backbone.safetensors`, the shared network, and one patch a task, which
    holds the route as what it makes of the weights; and `routes.json` with the decisions, their
    cost, and what the routes share, drawn in `routes.png`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        settings: Settings,
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
          settings: of the run, for one group a task in a step, with trained shared weights; `patch`
            is what each task owns beside its route.
          search: how to search.
          directory, command, resume, overwrite, test: as for a `Run`.

        Raises SettingError where they do not fit a search, SpaceError for a backbone without
        choices, SearchError for tasks that are not classified, ClusterError where several processes
        train together, and what a `Run` raises.
        """
        cluster.check_alone("a search")
        _check(settings, tasks)
        table = backbones.load(settings.backbone, settings.weights).network.table
        self.space: BlockSpace = block_space(table)
        self._costs = multiply_adds(self.space, settings.size)
        whole = self._costs.exact(largest(self.space))
        self._search = Searching(
            self.space,
            self._costs,
            search.budget * whole,
            search.made_reward(),
            settings.recipe.steps,
            search.share,
            search.rate,
        )
        patch = chain(from_spec(settings.patch), route(self.space))
        super().__init__(
            tasks,
            dataclasses.replace(settings, patch=text_of(patch)),
            directory,
            command,
            resume,
            overwrite,
            test,
            patch,
        )
        self._patched = jax.jit(lambda weights, params: self._patch.apply(weights, params, {}))
        own = {**dataclasses.asdict(search), "patch": settings.patch}
        self._configuration = {**self._configuration, "search": own}
        logging.info(
            "%s has %d decisions and %.2g routes; each may cost %.1f of %.1f million multiply-adds",
            *(table.name, len(self.space.space), self.space.space.count()),
            *(self._search.target / 1e6, whole / 1e6),
        )

    @property
    def told(self) -> str:
        """What the routes share and cost, in a line; for when the search is done."""
        record = json.loads((self._directory / ROUTES).read_text())
        return (
            f"The routes share {100 * record['shared']['share of the bundle']:.0f} % of the "
            f"parameters that as many networks of their own would have, and take "
            f"{100 * record['mean share of multiply_adds']:.0f} % of the largest's multiply-adds."
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

    def _packed(self, state: State, index: int) -> tuple[Edits, Mapping[str, Array]]:
        shared, params = self._shared_weights(state), packing.task_params(state, index)
        patched = self._patched(shared, params)
        return differences(shared, patched), packing.task_head(state, self._heads, index)

    def _finish(self, outcome: loop.Outcome) -> list[Row]:
        rows = super()._finish(outcome)
        routes = routes_of(outcome.state)
        names = [task.name for task in self._tasks]
        record = described(self.space, self._costs, dict(zip(names, routes, strict=True)))
        files.write_bytes(self._directory / ROUTES, json.dumps(record, indent=1).encode() + b"\n")
        picture = route_picture.picture(self.space, names, routes)
        files.write_bytes(self._directory / PICTURE, picture)
        return rows


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
) -> Search:
    """Searches a route a task, trains what it found, and returns the run that did it.

    Args:
      tasks: as for `adapters.fit`; classifiers.
      directory: for patch files, the shared network, checkpoints, metrics and pictures.
      search: how to search; by default as `SearchSettings` has it.
      resume, overwrite, test, command: as for `adapters.fit`.
      settings: fields of `Settings` and of `Recipe` by name. Of those that are not given, shared
        weights are trained at `SHARED_RATE`, a step has one group of each task, tasks are weighed
        by `balanced`, norms have each task's own statistics, and the last step ships.

    Raises what `Search` and `adapters.fit` raise.
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
    if own.get("train_shared", True):
        defaults["shared_rate"] = SHARED_RATE
    run = Search(
        wanted,
        settings_of(**{**defaults, **own}),
        search or SearchSettings(),
        directory,
        command,
        resume,
        overwrite,
        test,
    )
    for _ in run:
        pass
    return run


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


def described(space: BlockSpace, costs: Costs, routes: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What `routes`, by task, decide, cost and share, as JSON.

    `bundle` is what one network a task would have; `shared` the one that holds all routes.
    """

    def size(chosen: np.ndarray) -> int:
        return count_parameters(cropped_table(space, chosen, "route"))

    whole = costs.exact(largest(space))
    tasks = {
        name: {
            "multiply_adds": costs.exact(chosen),
            "parameters": size(chosen),
            "decisions": space.space.named(chosen),
        }
        for name, chosen in routes.items()
    }
    bundle = sum(map(size, routes.values()))
    shared = size(union(space, list(routes.values())))
    return {
        "largest": {"multiply_adds": whole, "parameters": size(largest(space))},
        "shared": {"parameters": shared, "share of the bundle": shared / bundle},
        "bundle": {"parameters": bundle},
        "mean share of multiply_adds": sum(map(costs.exact, routes.values())) / len(routes) / whole,
        "tasks": tasks,
    }


def _check(settings: Settings, tasks: Sequence[Task]) -> None:
    total = len(tasks)
    if set(settings.sizes(tasks)) != {settings.size}:
        raise SettingError(
            "size",
            f"is {settings.size}, and tasks have sizes of their own: a search counts what routes "
            "cost at one size. Give that size for all.",
        )
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
