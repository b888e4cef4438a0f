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

    def network(image: jax.Array, norm: Normalise) -> tuple[jax.Array, dict[str, jax.Array]]:
        endpoints: dict[str, jax.Array] = {}
        x = image
        for name, row in table.named_rows():
            x, inside = _block(table, row, padding, name, x, norm)
            endpoints |= inside
            if not isinstance(row, Pooled):
                endpoints[name] = x
        for own in table.neck:
            y, _ = _block(table, own.row, padding, own.name, _read(own, endpoints), norm)
            endpoints[own.name] = _summed(own, y, endpoints)
        return jnp.mean(x.astype(jnp.float32), axis=(0, 1)), endpoints

    transformed = hk.transform_with_state(network)

    def init(key: jax.Array) -> Weights:
        image = jnp.zeros((32, 32, 3), jnp.float32)
        return transformed.init(key, image, Normalise(epsilon))[0]

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
            return _apply_blocks(table, padding, weights, image, norm)
        (features, endpoints), moments = transformed.apply(weights, {}, None, image, norm)
        return Outputs(features, endpoints, moments)

    return Backbone(table, init, apply, padding, epsilon)


def _apply_blocks(
    table: LayerTable, padding: str, weights: Weights, image: jax.Array, norm: Normalise
) -> Outputs:
    """The network as a chain of functions of (own weights, input), each rematerialised."""

    def outputs(
        name: str, row: Row, own: Weights, x: jax.Array, membership: jax.Array | None
    ) -> tuple[tuple[jax.Array, dict[str, jax.Array]], Weights]:
        how = dataclasses.replace(norm, membership=membership)
        part = hk.transform_with_state(lambda x: _block(table, row, padding, name, x, how))
        return part.apply(own, {}, None, x)

    endpoints: dict[str, jax.Array] = {}
    moments: dict[str, Mapping[str, jax.Array]] = {}

    def run(name: str, row: Row, x: jax.Array) -> jax.Array:
        own = {path: leaves for path, leaves in weights.items() if block_of(path) == name}
        part = rematerialised(functools.partial(outputs, name, row))
        (y, inside), seen = part(own, x, norm.membership)
        endpoints.update(inside)
        moments.update(seen)
        if not isinstance(row, Pooled):
            endpoints[name] = y
        return y

    x = image
    for name, row in table.named_rows():
        x = run(name, row, x)
    for own in table.neck:
        y = run(own.name, own.row, _read(own, endpoints))
        endpoints[own.name] = _summed(own, y, endpoints)
    return Outputs(jnp.mean(x.astype(jnp.float32), axis=(0, 1)), endpoints, moments)


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
