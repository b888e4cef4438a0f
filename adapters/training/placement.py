"""Arrays on the devices of one process or of several.

What is trained lies everywhere: each device has all of it. A batch's groups are shared out over the
mesh's `data` axis, and each process holds those of its devices. On one process, arrays stay as they
are, and `jax.jit` places them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def all_devices() -> Mesh:
    """Those of every process, along `data`."""
    return Mesh(np.asarray(jax.devices()), ("data",))


def everywhere(mesh: Mesh) -> NamedSharding:
    """The sharding of what every device has all of."""
    return NamedSharding(mesh, PartitionSpec())


def by_group(mesh: Mesh) -> NamedSharding:
    """The sharding of what has a row a group, [G, ...]."""
    return NamedSharding(mesh, PartitionSpec("data"))


def own_groups(mesh: Mesh, groups: int) -> list[int]:
    """Which of a batch's groups lie on this process's devices, in order."""
    parts = by_group(mesh).addressable_devices_indices_map((groups,)).values()
    return sorted({row for part in parts if part for row in range(groups)[part[0]]})


def shared_out(mesh: Mesh, tree: Any) -> Any:
    """The arrays of all processes as one [G, ...], each from the rows of its `own_groups`."""
    if jax.process_count() == 1:
        return tree
    make = jax.make_array_from_process_local_data
    return jax.tree.map(lambda rows: make(by_group(mesh), rows), tree)


def copied(mesh: Mesh, tree: Any) -> Any:
    """Arrays that every process has, as arrays on all devices."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda leaf: _copied(mesh, leaf), tree)


def local(tree: Any) -> Any:
    """Arrays that lie everywhere, as this process's own."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), tree)


def _copied(mesh: Mesh, leaf: Any) -> jax.Array:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _copied(mesh, jax.random.key_data(leaf))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    return jax.make_array_from_process_local_data(everywhere(mesh), np.asarray(leaf), leaf.shape)
