"""A run in which every task places its patches where a search, or chance, says."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adapters import files
from adapters.experiment import backbones
from adapters.experiment.held_out import PARTS, halved
from adapters.experiment.search_request import Request
from adapters.experiment.search_settings import EACH, check_search
from adapters.experiment.settings import SettingError
from adapters.experiment.training_run import Run
from adapters.search.chooser import Settling, by_controller, one_for_all
from adapters.search.controls import routes_of_equal_cost
from adapters.search.placement import (
    NONE,
    PlacementSpace,
    members,
    placed,
    placement_space,
    starting_logits,
)
from adapters.search.supernet import Searching, routes_of, supernet, with_routes
from adapters.training import cluster, loop
from adapters.training.reading import Batches
from adapters.training.recipe import Recipe
from adapters.training.report import Row
from adapters.training.state import Trainer

PLACEMENT = "placement.json"


class PlacementRun(Run):
    """A `Run` on a frozen network in which each task spends a budget of bytes on some layers.

    Each patch holds what is placed and nothing else; `placement.json` says what stands where, and
    how many bytes of a float32 file it takes.

    Attributes:
      space: of the placements.
    """

    whole_network = True

    def __init__(self, request: Request):
        """Loads what the run needs; writes nothing.

        Args:
          request: with a budget in bytes, of classifiers where placements are searched; shared
            weights are not trained.

        Raises SettingError where settings do not fit, SearchError for tasks that are not
        classified, ClusterError where several processes train together, and what a `Run` raises.
        """
        settings, search = request.settings, request.search
        if settings.train_shared:
            raise SettingError(
                "train_shared", "is on: a placement is of patches of a frozen network."
            )
        weights = backbones.load(settings.backbone, settings.weights).weights
        self.space: PlacementSpace = placement_space(members(), jax.tree.map(jnp.asarray, weights))
        self._search = search
        self._learned = search.algorithm == "controller"
        if self._learned:
            cluster.check_alone("a search")
            check_search(settings, request.tasks)
        super().__init__(**request.of_run(placed(self.space)))
        self._configuration = {**self._configuration, **request.identity()}

    @property
    def told(self) -> str:
        """What was placed, a line a task; for when the run is done."""
        record = json.loads((self._directory / PLACEMENT).read_text())
        lines = []
        for task, own in record["tasks"].items():
            chosen = [option for option in own["layers"].values() if option != NONE]
            counts = ", ".join(f"{chosen.count(name)} {name}" for name in self.space.members)
            lines.append(
                f"{task}: {own['bytes']:,} of {record['budget']:,.0f} bytes, at {len(chosen)} of "
                f"{len(own['layers'])} layers ({counts})"
            )
        return "\n".join(lines)

    def _trainer(
        self, recipe: Recipe, pixels: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> Trainer:
        made, budget = super()._trainer(recipe, pixels), self._search.budget
        space, costs = self.space.space, self.space.costs
        nothing = np.zeros(len(space), np.int32)
        count = len(self._tasks)
        if not self._learned:
            seed = self._settings.seed
            drawn = routes_of_equal_cost(space, costs, nothing, budget, count, seed, over=0.0)
            return made._replace(
                init=lambda key, weights: with_routes(made.init(key, weights), jnp.asarray(drawn))
            )
        start = starting_logits(self.space, budget)
        # The most probable placement of all is nothing: what little each layer is worth is told by
        # placements of one size alone.
        settling = Settling(over=1.0, under=0.97, drawn=512, cheapest=nothing)
        chooser = by_controller(space, costs, budget, start, settling)
        search = Searching(
            costs,
            budget,
            self._search.made_reward(),
            recipe.steps,
            self._search.search_share,
            self._search.rate,
            chooser if self._search.controllers == EACH else one_for_all(chooser, count),
            self._search.warm_up,
        )
        return supernet(made, self.backbone.network, self._patch, recipe, pixels, search)

    def _batches(self, *purpose: str, part: int = 0, parts: int = 1) -> list[Batches]:
        batches = super()._batches
        if purpose or not self._learned:
            return batches(*purpose, part=part, parts=parts)
        return halved(lambda part: batches(part=part, parts=PARTS))

    def _finish(self, outcome: loop.Outcome) -> list[Row]:
        rows = super()._finish(outcome)
        record: dict[str, Any] = {
            "budget": self._search.budget,
            "tasks": {
                task.name: self._described(chosen)
                for task, chosen in zip(self._tasks, routes_of(outcome.state), strict=True)
            },
        }
        content = json.dumps(record, indent=1).encode() + b"\n"
        files.write_bytes(self._directory / PLACEMENT, content)
        return rows

    def _described(self, chosen: np.ndarray) -> Mapping[str, Any]:
        return {
            "bytes": self.space.costs.exact(chosen),
            "layers": self.space.space.named(chosen),
        }
