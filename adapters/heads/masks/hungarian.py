"""The assignment of least cost, in JAX: exact, of fixed shapes, and of O(n^3) steps."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


def assignment(costs: Any) -> jax.Array:
    """The column of each row, [n] int32, all different, whose costs have the least sum.

    The Hungarian method by shortest augmenting paths (Kuhn, 1955; in the form of Jonker and
    Volgenant, 1987): rows are taken in one by one, and prices of rows and columns keep every
    reduced cost at 0 or above. No gradient passes.

    Args:
      costs: [n, n]; NaN counts as 0, since no path ends that waits for a smaller one.
    """
    table = jnp.nan_to_num(jax.lax.stop_gradient(jnp.asarray(costs)))
    size = table.shape[0]
    zeros = jnp.zeros(size + 1, table.dtype)
    # Column `size` stands for none: that is where the path of a new row begins.
    taken = jnp.full(size + 1, size, jnp.int32)
    wide = jnp.zeros((size + 1, size + 1), table.dtype).at[:size, :size].set(table)

    def take_in(row: Any, known: _Prices) -> _Prices:
        start = _Path(
            taken=known.taken.at[size].set(row),
            rows=known.rows,
            columns=known.columns,
            least=jnp.full(size + 1, jnp.inf, table.dtype),
            before=jnp.full(size + 1, size, jnp.int32),
            visited=jnp.zeros(size + 1, bool),
            end=jnp.int32(size),
        )
        found = jax.lax.while_loop(
            lambda path: path.taken[path.end] < size, lambda path: _longer(wide, path), start
        )
        _, flipped = jax.lax.while_loop(lambda state: state[0] < size, _flip(found), _last(found))
        return _Prices(flipped, found.rows, found.columns)

    found = jax.lax.fori_loop(0, size, take_in, _Prices(taken, zeros, zeros))
    return jnp.zeros(size, jnp.int32).at[found.taken[:size]].set(jnp.arange(size, dtype=jnp.int32))


class _Prices(NamedTuple):
    """`taken`: the row of each column, n where it has none; prices of rows and of columns."""

    taken: jax.Array
    rows: jax.Array
    columns: jax.Array


class _Path(NamedTuple):
    """The search for the nearest free column.

    `least` is the least reduced cost of each column from those visited, `before` the column that it
    is reached from, `end` the last that was visited.
    """

    taken: jax.Array
    rows: jax.Array
    columns: jax.Array
    least: jax.Array
    before: jax.Array
    visited: jax.Array
    end: jax.Array


def _longer(costs: jax.Array, path: _Path) -> _Path:
    """The path on to the nearest column that was not visited."""
    size = len(costs) - 1
    row = path.taken[path.end]
    visited = path.visited.at[path.end].set(True)
    closed = visited | (jnp.arange(size + 1) == size)
    reduced = costs[row] - path.rows[row] - path.columns
    nearer = ~closed & (reduced < path.least)
    least = jnp.where(nearer, reduced, path.least)
    before = jnp.where(nearer, path.end, path.before)
    end = jnp.argmin(jnp.where(closed, jnp.inf, least)).astype(jnp.int32)
    step = least[end]
    none = jnp.zeros((), costs.dtype)
    rows = path.rows.at[path.taken].add(jnp.where(visited, step, none))
    columns = path.columns - jnp.where(visited, step, none)
    least = jnp.where(closed, least, least - step)
    return _Path(path.taken, rows, columns, least, before, visited, end)


def _last(path: _Path) -> tuple[jax.Array, jax.Array]:
    return path.end, path.taken


def _flip(path: _Path) -> Any:
    """Each column of the path takes the row of the one before it."""

    def back(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        column, taken = state
        before = path.before[column]
        return before, taken.at[column].set(taken[before])

    return back
