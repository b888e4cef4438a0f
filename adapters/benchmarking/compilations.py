"""Counts what XLA compiles, and reads what it says of a compiled program."""

import functools
from collections.abc import Callable
from typing import Any

import jax

# Fired for every program needed; a hit says that one came out of the persistent cache.
NEEDED = "/jax/core/compile/backend_compile_duration"
CACHE_HIT = "/jax/compilation_cache/cache_hits"


def counter() -> Callable[[], int]:
    """A function that says how many programs this process has compiled since this call."""
    counts = _counts()

    def compiled() -> int:
        return counts[NEEDED] - counts[CACHE_HIT]

    before = compiled()
    return lambda: compiled() - before


@functools.cache
def _counts() -> dict[str, int]:
    counts = {NEEDED: 0, CACHE_HIT: 0}

    def hit(event: str, **_: str | int) -> None:
        counts[CACHE_HIT] += event == CACHE_HIT

    def needed(event: str, duration_secs: float, **_: str | int) -> None:
        counts[NEEDED] += event == NEEDED

    jax.monitoring.register_event_listener(hit)
    jax.monitoring.register_event_duration_secs_listener(needed)
    return counts


def analysis(jitted: Any, *arguments: Any) -> dict[str, float]:
    """XLA's own figures of a `jax.jit` function: `temp memory`, in bytes beside arguments and
    results, and `flops`.
    """
    compiled = jitted.lower(*arguments).compile()
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis()
    return {"temp memory": float(memory.temp_size_in_bytes), "flops": float(costs["flops"])}
