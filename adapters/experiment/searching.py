"""Searches, and what they are held against: from a user's words to the run that does it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapters.experiment import backbones, chosen_tasks, route_record
from adapters.experiment.adapted_run import AdaptedRun
from adapters.experiment.chosen_tasks import Wanted
from adapters.experiment.half_shared import HalfShared
from adapters.experiment.placement_run import PlacementRun
from adapters.experiment.route_search import Search
from adapters.experiment.routed_run import RoutedRun
from adapters.experiment.search_request import Request
from adapters.experiment.search_settings import (
    PLACEMENT,
    WIDTHS,
    SearchSettings,
    check_one_size,
)
from adapters.experiment.settings import settings_of
from adapters.experiment.task_heads import with_head
from adapters.search.blocks import block_space, largest, width_space
from adapters.search.controls import routes_of_equal_cost
from adapters.search.netadapt import uniform

SHARED_RATE = 1e-3
"""Of the shared weights, which have to learn to do without what routes leave out."""

SearchRun = RoutedRun | HalfShared | PlacementRun


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
) -> SearchRun:
    """Searches a route a task, trains what it found, and returns the run that did it.

    Args:
      tasks: as for `adapters.fit`; classifiers.
      directory: for patch files, the shared network, checkpoints, metrics and pictures.
      search: how to search; by default as `SearchSettings` has it.
      resume, overwrite, test, command: as for `adapters.fit`.
      settings: fields of `Settings` and of `Recipe` by name. Of those that are not given, a step
        has one group of each task, and the last step ships. Where routes are searched, shared
        weights are trained at `SHARED_RATE`, tasks are weighed by `balanced`, and norms have each
        task's own statistics.

    Raises RouteFileError, and what `RoutedRun`, `Search`, `PlacementRun` and `adapters.fit` raise.
    """
    wanted = chosen_tasks.chosen(tasks)
    own = {name: value for name, value in settings.items() if value is not None}
    how = search or SearchSettings()
    values = {**_defaults(how, len(wanted), own.get("train_shared", True)), **own}
    given = settings_of(**values)
    tasks_with_heads = with_head(wanted, given.head)
    run = planned(
        Request(tasks_with_heads, given, how, directory, command, resume, overwrite, test)
    )
    for _ in run:
        pass
    return run


def planned(request: Request) -> SearchRun:
    """The run that is asked for, not begun."""
    tasks, settings, search = request.tasks, request.settings, request.search
    check_one_size(settings, tasks)
    if search.space == PLACEMENT:
        return PlacementRun(request)
    table = backbones.load(settings.backbone, settings.weights).network.table
    space = width_space(table) if search.space == WIDTHS else block_space(table)
    if search.algorithm == "first_half":
        return HalfShared(request, table)
    whole = np.stack([largest(space)] * len(tasks))
    if search.routes is not None:
        names = [task.name for task in tasks]
        return RoutedRun(request, space, route_record.read(search.routes, space, names))
    if search.algorithm == "largest":
        return RoutedRun(request, space, whole)
    if search.algorithm == "netadapt":
        return AdaptedRun(request, space)
    costs = request.costs(space)
    target = search.budget * costs.exact(whole[0])
    if search.algorithm == "uniform":
        narrower = np.stack([uniform(space, costs, target)] * len(tasks))
        return RoutedRun(request, space, narrower)
    if search.algorithm == "random":
        drawn = routes_of_equal_cost(
            *(space.space, costs, whole[0], target, len(tasks), settings.seed)
        )
        return RoutedRun(request, space, drawn)
    return Search(request, space)


def _defaults(search: SearchSettings, tasks: int, train_shared: bool) -> Mapping[str, Any]:
    """Of settings that a search has other defaults of than a run."""
    own: dict[str, Any] = {"groups": tasks, "checkpoint": "last"}
    if search.space == PLACEMENT:
        return own
    own |= {"train_shared": True, "scheduler": "balanced", "norm": "batch"}
    if train_shared:
        own["shared_rate"] = SHARED_RATE
    if search.algorithm == "first_half":
        own["patch_rate"] = SHARED_RATE  # of whole weights, as the shared ones are
    return own
