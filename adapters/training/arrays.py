"""Flat dictionaries of JAX arrays in a folder, bit for bit, written and read by Orbax."""

import contextlib
import logging
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp


def write(folder: pathlib.Path, arrays: Mapping[str, jax.Array]) -> None:
    """Writes `arrays` into the new folder `folder`; returns when all of it is written.

    Arrays without elements, which Orbax refuses, are left out: their template is enough.
    """
    with _orbax() as (ocp, checkpointer):
        checkpointer.save(os.path.abspath(folder), args=ocp.args.PyTreeSave(_filled(arrays)))


def read(folder: pathlib.Path, template: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Reads what `write` wrote; `template` has the same names, shapes and dtypes.

    Each array comes back with its template's sharding. Where the template is not committed to a
    device, neither is the array, so that `jax.jit` may still place it beside the others.
    """
    filled = _filled(template)
    with _orbax() as (ocp, checkpointer):
        arguments = {
            name: ocp.ArrayRestoreArgs(sharding=array.sharding, dtype=array.dtype)
            for name, array in filled.items()
        }
        restored = checkpointer.restore(
            os.path.abspath(folder),
            args=ocp.args.PyTreeRestore(item=filled, restore_args=arguments),
        )
    placed = {
        name: restored[name] if array.committed else _uncommitted(restored[name])
        for name, array in filled.items()
    }
    return {**template, **placed}


def _filled(arrays: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: array for name, array in arrays.items() if array.size}


def _uncommitted(array: jax.Array) -> jax.Array:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = jnp.array(jax.device_get(jax.random.key_data(array)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    return jnp.array(jax.device_get(array))


@contextlib.contextmanager
def _orbax() -> Iterator[tuple[Any, Any]]:
    """Gives Orbax and a synchronous checkpointer, without the forty lines it logs per save."""
    import orbax.checkpoint as ocp  # Here, as it adds a second to the start of every command.

    logger = logging.getLogger("absl")
    logger.addFilter(_is_not_chatter)
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            yield ocp, checkpointer
    finally:
        logger.removeFilter(_is_not_chatter)


def _is_not_chatter(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or "orbax" not in pathlib.Path(record.pathname).parts
