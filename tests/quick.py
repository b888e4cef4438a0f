"""For programs that take longer to compile than to run: `jax.jit(..., compiler_options=QUICKEST)`.

Only where a tolerance is stated: what ships rounds otherwise, and a comparison to the bit of two
such programs can fail where that of two as shipped holds.
"""

import contextlib
import functools
from unittest import mock

import jax

QUICKEST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


@contextlib.contextmanager
def compiled_quickly():
    """What the library gives to `jax.jit` within is compiled so, whenever it is called first."""
    with mock.patch.object(jax, "jit", functools.partial(jax.jit, compiler_options=QUICKEST)):
        yield
