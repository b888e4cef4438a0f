"""A run in which every task takes a route of its own through one shared network."""

import dataclasses
import json
from collections.abc import Mapping

import jax
import numpy as np

from adapters import files
from adapters.backbones.builder import Backbone, build
from adapters.backbones.checkpoint import Weights
from adapters.experiment import route_picture, route_record
from adapters.experiment.search_request import Request
from adapters.experiment.search_settings import ONE
from adapters.experiment.settings import SettingError
from adapters.experiment.training_run import Run
from adapters.patches.combine import chain
from adapters.patches.registry import from_spec
from adapters.patches.replacement import leaves_where
from adapters.search.blocks import BlockSpace, largest
from adapters.search.costs import multiply_adds
from adapters.search.cropped import cropped
from adapters.search.masks import stored
from adapters.search.pooled_statistics import pooled_statistics
from adapters.search.route import differences, route
from adapters.search.supernet import routes_of, with_routes
from adapters.search.union import union
from adapters.store.kinds import Array, Edits
from adapters.training import loop, packing
from adapters.training.recipe import Recipe
from adapters.training.report import Row
from adapters.training.state import State, Trainer
from adapters.vocabulary import MEASURING, STATISTICS

PICTURE = "routes.png"
MADE = "_routes"  # what the name of the network of routes ends in


class RoutedRun(Run):
    """A `Run` through routes: it trains the largest network by masks, and ships what is left of it.

    `backbone.safetensors` is the network of all that any route keeps, with really smaller arrays
    and its layer table, and each patch holds what its route leaves out of that. `routes.json` has
    the decisions, their cost, and what the routes share, drawn in `routes.png`; `nodes.txt` tells
    it node by node.

    Attributes:
      space: of the routes.
      routes: that the tasks begin with, [T, D].
    """

    whole_network = True

    def __init__(self, request: Request, space: BlockSpace, routes: np.ndarray):
        """Loads what the run needs; writes nothing.

        Args:
          request: what is asked for.
          space: over the layer table of the run's backbone.
          routes: [T, D], that the tasks begin with.

        Raises SettingError for a patch that adds leaves, SpaceError for a route of another space,
        and what a `Run` raises.
        """
        settings = request.settings
        self.space, self.routes = space, np.asarray(routes, np.int32)
        for each in self.routes:
            space.space.check(each)
        self._costs, self._cost = request.costs(space), request.search.cost
        self._pools = request.search.statistics == ONE
        if self._pools and settings.recipe.norm not in MEASURING:
            raise SettingError(
                "norm",
                f"is {settings.recipe.norm}, which measures no statistics that tasks could share.",
                "statistics",
            )
        self._kept = largest(space)
        super().__init__(**request.of_run(chain(from_spec(settings.patch), route(space))))
        if _names(self._untrained) != _names(self.backbone.weights):
            raise SettingError(
                "patch",
                f"is {settings.patch}, which adds leaves to layers that a route may leave out: "
                "choose one that changes those that are there.",
            )
        self._patched = jax.jit(lambda weights, params: self._patch.apply(weights, params, {}))
        self._configuration = {
            **self._configuration,
            "patch": settings.patch,
            "routes": self.routes.tolist(),
            "statistics": request.search.statistics,
        }

    @property
    def told(self) -> str:
        """The nodes, and what the routes share and cost; for when the run is done."""
        return route_record.in_words(route_record.opened(self._directory / route_record.ROUTES))

    def _trainer(
        self, recipe: Recipe, pixels: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> Trainer:
        made, routes = super()._trainer(recipe, pixels), self.routes
        return made._replace(
            init=lambda key, weights: with_routes(
                made.init(key, weights), jax.numpy.asarray(routes)
            )
        )

    @property
    def _training_network(self) -> Backbone:
        network = super()._training_network
        return pooled_statistics(network) if self._pools else network

    def _shared_weights(self, state: State) -> Weights:
        return self._left(self._whole(state))

    def _whole(self, state: State) -> Weights:
        """The shared weights of the largest network; with the statistics that all tasks have."""
        shared = super()._shared_weights(state)
        if not self._pools:
            return shared
        patched = self._patched(shared, packing.task_params(state, 0))
        own = leaves_where(lambda path, name, leaf: name in STATISTICS, patched)
        return {
            path: {**leaves, **jax.tree.map(np.asarray, own.get(path, {}))}
            for path, leaves in shared.items()
        }

    def _packed(self, state: State, index: int) -> tuple[Edits, Mapping[str, Array]]:
        shared, params = self._whole(state), packing.task_params(state, index)
        patched = jax.tree.map(np.asarray, self._patched(shared, params))
        written = stored(self.space, patched, self.backbone.checkpoint.epsilon)
        edits = differences(self._left(shared), self._left(written))
        return edits, packing.task_head(state, self._heads, index)

    def _left(self, weights: Weights) -> Weights:
        """What any route keeps, once that is known: until then, all."""
        _, found = cropped(self.space, self._kept, weights, "routes")
        return found

    def _finish(self, outcome: loop.Outcome) -> list[Row]:
        routes = routes_of(outcome.state)
        self._materialise(union(self.space, list(routes)))
        rows = super()._finish(outcome)
        names = [task.name for task in self._tasks]
        found = dict(zip(names, routes, strict=True))
        record = route_record.described(
            *(self.space, multiply_adds(self.space, self._settings.size), found),
            *(self._cost, self._costs),
        )
        for name, content in (
            (route_record.ROUTES, json.dumps(record, indent=1)),
            (route_record.NODES, route_record.node_table(record)),
        ):
            files.write_bytes(self._directory / name, content.encode() + b"\n")
        picture = route_picture.picture(self.space, names, routes)
        files.write_bytes(self._directory / PICTURE, picture)
        return rows

    def _materialise(self, kept: np.ndarray) -> None:
        """Makes the backbone the network of the route `kept`, of smaller arrays."""
        self._kept = kept
        checkpoint = self.backbone.checkpoint
        name = self.space.table.name + MADE
        table, weights = cropped(self.space, kept, checkpoint.weights, name)
        if table.rows == self.space.table.rows:
            return
        self.backbone = dataclasses.replace(
            self.backbone,
            name=name,
            checkpoint=dataclasses.replace(
                checkpoint, table=name, own_table=table, weights=weights, head=None
            ),
            network=build(table, checkpoint.padding, checkpoint.epsilon),
        )
        self._scores.networks = self._compiled(self.networks)


def _names(weights: Weights) -> set[tuple[str, str]]:
    return {(path, name) for path, leaves in weights.items() for name in leaves}
