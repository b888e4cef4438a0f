"""The one builder: a layer table becomes a pure function of (weights, image)."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from adapters.backbones.blocks.block import block
from adapters.backbones.rematerialise import rematerialised
from adapters.backbones.rows import Pooled, Row
from adapters.backbones.sites import sites
from adapters.backbones.skipping import check_open
from adapters.backbones.table import LayerTable, NeckRow
from adapters.layers.enlarging import added
from adapters.layers.norm import Normalise
from adapters.modules import block_of
from adapters.resizing import resized
from adapters.vocabulary import STATISTICS, Folded, NormMode

Weights = Mapping[str, Mapping[str, jax.Array]]
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]


class Outputs(NamedTuple):
    """What a backbone makes of one image.

    Attributes:
      features: [C], the last row averaged over the image.
      endpoints: block name to its output [H', W', C'], up to pooling, and those of the neck; and
        `NAME/expand` to what the block's expansion gives, after its norm and activation; and so
        `NAME/depthwise`, where the neck reads it.
      moments: norm path to {"mean", "var"}, each [T, C]; empty in `frozen` mode.
    """

    features: jax.Array
    endpoints: dict[str, jax.Array]
    moments: Weights


class Backbone(NamedTuple):
    """A network without its weights.

    Attributes:
      table: the rows it was built from.
      init: (key) -> random weights.
      apply: (weights, image [H, W, 3], mode, membership, axis_names, rematerialise) -> Outputs; the
        middle three default to frozen norms, and with the last one every block keeps its input
        alone for the backward pass. Written for one image: map it over examples with `jax.vmap`.
        Raises UnskippableError for weights with a leaf `open` where no block can be skipped.
      padding, epsilon: the checkpoint's conventions, under which it was built.
    """

    table: LayerTable
    init: Callable[[jax.Array], Weights]
    apply: Callable[..., Outputs]
    padding: str
    epsilon: float


def build(table: LayerTable, padding: str = "same", epsilon: float = 1e-3) -> Backbone:
    """Builds the network of `table` under a checkpoint's conventions.

    Args:
      table: rows from the image to the pooled features.
      padding: a convention of `layers.padding`.
      epsilon: of every norm.

    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> backbone = build(mobilenet_v2(0.35))
    >>> weights = jax.eval_shape(backbone.init, jax.random.key(0))
    >>> images = jax.ShapeDtypeStruct((8, 64, 64, 3), jnp.float32)
    >>> jax.eval_shape(jax.vmap(backbone.apply, (None, 0)), weights, images).features.shape
    (8, 1280)
    """

    whole = hk.transform_with_state(
        lambda image, norm: _through(table, 0, image, {}, _blocks(table, padding, norm))
    )

    def init(key: jax.Array) -> Weights:
        image = jnp.zeros((32, 32, 3), jnp.float32)
        return whole.init(key, image, Normalise(epsilon))[0]

    begun = Begun(0, lambda image: (image, {}))
    return Backbone(table, init, _apply_of(table, padding, epsilon, begun), padding, epsilon)


class Begun(NamedTuple):
    """Where a network begins that is only the rest of one.

    Attributes:
      first: how many of `table.all_rows()` are done.
      maps: of what `apply` is given in place of the image: the output of the last row that is done,
        or the features [C], where those before the neck all are; and the endpoints that the
        rest reads, by name.
    """

    first: int
    maps: Callable[[jax.Array], tuple[jax.Array, Mapping[str, jax.Array]]]


def after(backbone: Backbone, begun: Begun) -> Backbone:
    """The rest of a network: its `apply` takes, in place of the image, what `begun` knows to read.

    Endpoints of rows that are done are those that it was given.
    """
    apply = _apply_of(backbone.table, backbone.padding, backbone.epsilon, begun)
    return backbone._replace(apply=apply)


def _apply_of(
    table: LayerTable, padding: str, epsilon: float, begun: Begun
) -> Callable[..., Outputs]:
    def network(image: jax.Array, norm: Normalise) -> tuple[jax.Array, dict[str, jax.Array]]:
        return _through(table, begun.first, *begun.maps(image), _blocks(table, padding, norm))

    transformed = hk.transform_with_state(network)

    def apply(
        weights: Weights,
        image: jax.Array,
        mode: NormMode | Folded = "frozen",
        membership: jax.Array | None = None,
        axis_names: tuple[str, ...] = (),
        rematerialise: bool = False,
    ) -> Outputs:
        check_open(table, weights)
        norm = Normalise(epsilon, mode, membership, axis_names)
        if rematerialise:
            moments: dict[str, Mapping[str, jax.Array]] = {}
            run = _blocks_again(table, padding, weights, norm, moments)
            return Outputs(*_through(table, begun.first, *begun.maps(image), run), moments)
        (features, endpoints), seen = transformed.apply(weights, {}, None, image, norm)
        return Outputs(features, endpoints, seen)

    return apply


_RunBlock = Callable[[str, Row, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]
"""A block's name, its row and its input become its output and, by name, maps inside."""


def _through(
    table: LayerTable,
    first: int,
    x: jax.Array,
    known: Mapping[str, jax.Array],
    run: _RunBlock,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The features and the endpoints, from row `first` on."""
    rows, endpoints = table.named_rows(), dict(known)
    for name, row in rows[first:]:
        x, inside = run(name, row, x)
        endpoints |= inside
        if not isinstance(row, Pooled):
            endpoints[name] = x
    features = x if first >= len(rows) else jnp.mean(x.astype(jnp.float32), axis=(0, 1))
    for own in table.neck[max(first - len(rows), 0) :]:
        y, _ = run(own.name, own.row, _read(own, endpoints))
        endpoints[own.name] = _summed(own, y, endpoints)
    return features, endpoints


def _blocks(table: LayerTable, padding: str, norm: Normalise) -> _RunBlock:
    return lambda name, row, x: _block(table, row, padding, name, x, norm)


def _blocks_again(
    table: LayerTable,
    padding: str,
    weights: Weights,
    norm: Normalise,
    moments: dict[str, Mapping[str, jax.Array]],
) -> _RunBlock:
    """Each block as a function of (own weights, input), rematerialised; `moments` are added to."""

    def outputs(
        name: str, row: Row, own: Weights, x: jax.Array, membership: jax.Array | None
    ) -> tuple[tuple[jax.Array, dict[str, jax.Array]], Weights]:
        how = dataclasses.replace(norm, membership=membership)
        part = hk.transform_with_state(lambda x: _block(table, row, padding, name, x, how))
        return part.apply(own, {}, None, x)

    def run(name: str, row: Row, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        own = {path: leaves for path, leaves in weights.items() if block_of(path) == name}
        part = rematerialised(functools.partial(outputs, name, row))
        (y, inside), seen = part(own, x, norm.membership)
        moments.update(seen)
        return y, inside

    return run


def _read(own: NeckRow, endpoints: Mapping[str, jax.Array]) -> jax.Array:
    """The map that a row of a neck takes."""
    x = endpoints[own.reads]
    if not own.beside:
        return x
    return jnp.concatenate([x, resized(endpoints[own.beside], *x.shape[:2])], axis=-1)


def _summed(own: NeckRow, y: jax.Array, endpoints: Mapping[str, jax.Array]) -> jax.Array:
    """What a row of a neck gave, and the map that it adds."""
    if not own.adds:
        return y
    if own.enlarging == "nearest":
        return added(y, endpoints[own.adds])
    return y + resized(endpoints[own.adds], *y.shape[:2])


def _block(
    table: LayerTable, row: Row, padding: str, name: str, x: jax.Array, norm: Normalise
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """A block's output, and by their names its expansion, if any, and what the neck reads in it."""
    inside: dict[str, jax.Array] = {}
    wanted = {f"{name}/expand"}
    read = {own.reads for own in table.neck}
    ended: list[str] = []

    def keep(
        method: Callable[..., Any], arguments: Any, settings: Any, about: hk.MethodContext
    ) -> Any:
        if about.method_name != "__call__":
            return method(*arguments, **settings)
        path = about.module.module_name
        if ended:  # what the next layer takes, since a layer may run in a trace of its own
            inside[ended.pop()] = arguments[0]
        result = method(*arguments, **settings)
        if path in wanted:
            inside[path] = result
        if path in read and "/" in path:
            ended.append(path)
        return result

    with hk.intercept_methods(keep):
        y = block(row, padding, name, x, norm)
    return y, inside


@functools.cache
def expected_shapes(table: LayerTable) -> Shapes:
    """Shape of every leaf of the table's weights, norm statistics included, sorted by their names.

    Told by the table's sites: nothing is built.
    """
    leaves = {site.path: site.leaves for site in sites(table)}
    return {path: dict(sorted(leaves[path].items())) for path in sorted(leaves)}


def count_parameters(table: LayerTable, classes: int = 0, statistics: bool = False) -> int:
    """Weights of the extractor, plus a head of `classes` when asked.

    Args:
      classes: width of a fully connected head with bias; 0 counts the extractor alone.
      statistics: whether norm means and variances count (Keras counts them, PyTorch does not).
    """
    leaves = (
        math.prod(shape)
        for module in expected_shapes(table).values()
        for name, shape in module.items()
        if statistics or name not in STATISTICS
    )
    return sum(leaves) + (table.features + 1) * classes
