"""modelpatch: one frozen MobileNet, one tiny patch file per task.

This package shares its import name with an unrelated distribution on PyPI (`adapters`, for
language models); `MARK` lets `tasks` and `launch` notice when that one was found instead.
"""

MARK = "modelpatch"
__version__ = "0.2.0"
