"""Flat dictionaries of JAX arrays in a folder, bit for bit, written and read by Orbax.

One process writes and reads them, alone; of several that train together, the others know nothing
of it.
"""

import contextlib
import errno
import logging
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

OVERHEAD = 1 << 20
"""Bytes, and more, that Orbax writes beside the arrays."""


def write(folder: pathlib.Path, arrays: Mapping[str, jax.Array]) -> None:
    """Writes `arrays` into the new folder `folder`; returns when all of it is written.

    Arrays without elements, which Orbax refuses, are left out: their template is enough. It is
    given NumPy's: of JAX's, it wants all processes, and compiles how to share out each shape.

    Raises OSError, whatever Orbax makes of it.
    """
    _check_space(folder.parent, arrays)
    said = None
    with _orbax() as (ocp, checkpointer):
        try:
            checkpointer.save(
                os.path.abspath(folder), args=ocp.args.PyTreeSave(jax.device_get(_filled(arrays)))
            )
        except Exception as error:  # of a full disk, tensorstore makes a ValueError
            said = str(error)
    # Not in the block above: the error holds on to Orbax's unfinished writes, which complain when
    # they are only ended with the program.
    if said is not None:
        number = re.search(r"os_error_code='(\d+)'", said)
        raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(said)


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


def _check_space(folder: pathlib.Path, arrays: Mapping[str, jax.Array]) -> None:
    """Sees a full disk coming: met by Orbax, its threads print stack traces past every handler."""
    needed = sum(array.nbytes for array in arrays.values()) + OVERHEAD
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (it needs {needed:,} bytes)")


def _filled(arrays: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: array for name, array in arrays.items() if array.size}


def _uncommitted(array: jax.Array) -> jax.Array:
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = jnp.array(jax.device_get(jax.random.key_data(array)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    return jnp.array(jax.device_get(array))


@contextlib.contextmanager
def _orbax() -> Iterator[tuple[Any, Any]]:
    """Gives Orbax and a synchronous checkpointer, without the forty lines it logs per save.

    What goes wrong is raised; Orbax's log of it would be a second stack trace.
    """
    import orbax.checkpoint as ocp  # Here, as it adds a second to the start of every command.

    logger = logging.getLogger("absl")
    logger.addFilter(_is_not_chatter)
    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(primary_host=own, active_processes={own})
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    try:
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            yield ocp, checkpointer
    finally:
        logger.removeFilter(_is_not_chatter)


def _is_not_chatter(record: logging.LogRecord) -> bool:
    return "orbax" not in pathlib.Path(record.pathname).parts
