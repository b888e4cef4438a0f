"""A search for a route a task through one shared network, and training of what it found."""

import numpy as np
from absl import logging

from adapters.experiment.held_out import PARTS, halved
from adapters.experiment.routed_run import RoutedRun
from adapters.experiment.search_request import Request
from adapters.experiment.search_settings import EACH, check_search
from adapters.experiment.settings import SettingError
from adapters.search.blocks import BlockSpace, largest
from adapters.search.chooser import CHOOSERS, one_for_all
from adapters.search.supernet import Searching, supernet
from adapters.search.union import pressure
from adapters.training import cluster
from adapters.training.reading import Batches
from adapters.training.recipe import Recipe
from adapters.training.state import Trainer


class Search(RoutedRun):
    """A `RoutedRun` that finds its routes while it trains, and then trains them on."""

    def __init__(self, request: Request, space: BlockSpace):
        """Loads what the search needs; writes nothing.

        Args:
          request: of classifiers, for one group a task in a step, with trained shared weights.
          space: as for a `RoutedRun`.

        Raises SettingError where they do not fit a search, SearchError for tasks that are not
        classified, ClusterError where several processes train together, and what a `RoutedRun`
        raises.
        """
        tasks, settings, search = request.tasks, request.settings, request.search
        cluster.check_alone("a search")
        check_search(settings, tasks)
        if not settings.train_shared:
            raise SettingError(
                "train_shared", "is off: a search trains the network that routes share."
            )
        whole = np.stack([largest(space)] * len(tasks))
        super().__init__(request, space, whole)
        cost = self._costs.exact(whole[0])
        target = search.budget * cost
        chooser = CHOOSERS[search.algorithm](space.space, self._costs, target)
        self._search = Searching(
            self._costs,
            target,
            search.made_reward(),
            settings.recipe.steps,
            search.search_share,
            search.rate,
            chooser if search.controllers == EACH else one_for_all(chooser, len(tasks)),
            search.warm_up,
            whole[0],
            pressure(space, search.sharing),
        )
        self._configuration = {**self._configuration, **request.identity()}
        logging.info(
            "%s has %d decisions and %.2g routes; each may cost %g %% of the largest by %s",
            *(space.table.name, len(space.space), space.space.count()),
            *(100 * search.budget, search.cost),
        )

    def _trainer(
        self, recipe: Recipe, pixels: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> Trainer:
        made = super()._trainer(recipe, pixels)
        return supernet(made, self._training_network, self._patch, recipe, pixels, self._search)

    def _batches(self, *purpose: str, part: int = 0, parts: int = 1) -> list[Batches]:
        if purpose:
            return super()._batches(*purpose, part=part, parts=parts)
        batches = super()._batches
        return halved(lambda part: batches(part=part, parts=PARTS))
