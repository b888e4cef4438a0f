"""The commands: one thin module per verb."""

import gc

import tasks  # noqa: F401  (it refuses the package `adapters` of another distribution)

# Python looks for cycles after every 700 new objects, and JAX makes millions while it traces: at
# that pace, a fifth of the time until a command trains.
gc.set_threshold(100_000, 10, 10)
