"""For programs that take longer to compile than to run: `jax.jit(..., compiler_options=QUICKEST)`.

Only where a tolerance is stated: what ships rounds otherwise, and a comparison to the bit of two
such programs can fail where that of two as shipped holds.
"""

import contextlib
import functools
from unittest import mock

import jax
from jax.extend.core import get_opaque_trace_state

QUICKEST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
_OUTERMOST = get_opaque_trace_state()


@contextlib.contextmanager
def compiled_quickly():
    """What the library gives to `jax.jit` within is compiled so, whenever it is called first."""
    with mock.patch.object(jax, "jit", functools.partial(_Quick, jax.jit)):
        yield


class _Quick:
    """A function compiled in the quickest way; within another's trace, as that one is."""

    def __init__(self, jit, function, compiler_options=QUICKEST, **options):
        functools.update_wrapper(self, function)
        self._own = jit(function, compiler_options=compiler_options, **options)
        self._within = jit(function, **options)

    def __call__(self, *arguments, **named):
        outermost = get_opaque_trace_state() == _OUTERMOST
        return (self._own if outermost else self._within)(*arguments, **named)

    def __getattr__(self, name):
        return getattr(self._own, name)
