"""A run that makes one network smaller for all its tasks, by NetAdapt, and trains it on."""

import numpy as np

from adapters.experiment.held_out import PARTS, halved
from adapters.experiment.routed_run import RoutedRun
from adapters.experiment.search_request import Request
from adapters.experiment.search_settings import check_search
from adapters.experiment.settings import SettingError
from adapters.search.blocks import BlockSpace, largest
from adapters.search.netadapt import Plan, netadapt
from adapters.search.supernet import qualities_of
from adapters.training import cluster
from adapters.training.reading import Batches
from adapters.training.recipe import Recipe
from adapters.training.state import Trainer

ROUNDS = 16


class AdaptedRun(RoutedRun):
    """A `RoutedRun` whose one route is found block by block while it trains."""

    def __init__(self, request: Request, space: BlockSpace):
        """Loads what the run needs; writes nothing. Its arguments are a `Search`'s.

        Raises SettingError for too few steps, and what a `Search` raises.
        """
        tasks, settings, search = request.tasks, request.settings, request.search
        cluster.check_alone("a search")
        check_search(settings, tasks)
        least = ROUNDS * len(space.places)
        searching = int(search.search_share * settings.recipe.steps)
        if searching < least:
            raise SettingError(
                "steps",
                f"are {settings.recipe.steps}, of which {searching} search: {ROUNDS} rounds of "
                f"{len(space.places)} proposals need {least}, and more to train each.",
                "search_share",
            )
        whole = np.stack([largest(space)] * len(tasks))
        super().__init__(request, space, whole)
        target = search.budget * self._costs.exact(whole[0])
        trained = searching // least
        self._plan = Plan(space, self._costs, target, whole[0], ROUNDS, trained)
        self._configuration = {**self._configuration, **request.identity()}

    def _trainer(
        self, recipe: Recipe, pixels: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> Trainer:
        made = super()._trainer(recipe, pixels)
        network = self._training_network
        return netadapt(
            made, qualities_of(network, self._patch, made.heads, recipe, pixels), self._plan
        )

    def _batches(self, *purpose: str, part: int = 0, parts: int = 1) -> list[Batches]:
        batches = super()._batches
        if purpose:
            return batches(*purpose, part=part, parts=parts)
        return halved(lambda part: batches(part=part, parts=PARTS))
