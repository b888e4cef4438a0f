"""Our side of single blocks: where a network's time goes."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones import registry
from adapters.backbones.blocks.block import block
from adapters.backbones.builder import Weights, build
from adapters.backbones.rows import Row
from adapters.backbones.table import LayerTable
from adapters.benchmarking import stand_ins
from adapters.benchmarking.cases import Case
from adapters.benchmarking.stand_ins import Array
from adapters.benchmarking.worker import Prepared
from adapters.layers.norm import Normalise
from adapters.modules import block_of
from adapters.search.blocks import block_space, width_space
from adapters.search.costs import rows_left
from adapters.search.latencies import row_text

EPSILON = 1e-3


def block_alone(case: Case) -> Prepared:
    """The block `case.block` on a batch of noise in the shape that the network gives it."""
    table = registry.table(case.backbone)
    rows = dict(table.named_rows())
    names = list(rows)
    before = names[names.index(case.block) - 1]
    weights = jax.tree.map(jnp.asarray, stand_ins.weights(table))
    image = jax.ShapeDtypeStruct((case.size, case.size, 3), jnp.float32)
    given = jax.eval_shape(build(table).apply, weights, image).endpoints[before]
    noise = np.random.default_rng(0).standard_normal((case.examples, *given.shape), np.float32)
    own = {path: leaves for path, leaves in weights.items() if block_of(path) == case.block}
    return _timed(rows[case.block], case.block, own, noise)


def row_alone(case: Case) -> Prepared:
    """The row that `case.row` tells, of what a route may leave of the network, on noise."""
    table = registry.table(case.backbone)
    known = {
        row_text(row): row
        for space in (block_space(table), width_space(table))
        for row, _ in rows_left(space, case.size)
    }
    row = known[case.row]
    alone = LayerTable("row", (row,))
    ((name, _),) = alone.named_rows()
    shape = (case.examples, case.size, case.size, row.inputs)
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    return _timed(row, name, jax.tree.map(jnp.asarray, stand_ins.weights(alone)), noise)


def _timed(row: Row, name: str, own: Weights, noise: Array) -> Prepared:
    alone = hk.transform_with_state(lambda x: block(row, "same", name, x, Normalise(EPSILON)))
    mapped = jax.jit(jax.vmap(lambda own, x: alone.apply(own, {}, None, x)[0], (None, 0)))
    x = jnp.asarray(noise)
    return Prepared(lambda: jax.block_until_ready(mapped(own, x)))
