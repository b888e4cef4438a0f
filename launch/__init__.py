"""The commands: one thin module per verb."""

import tasks  # noqa: F401  (it refuses the package `adapters` of another distribution)
