"""Whom a reader trusts, and for which tasks."""

import dataclasses
from collections.abc import Mapping

from adapters.store.errors import NotDelegatedError


@dataclasses.dataclass(frozen=True)
class TrustedKey:
    """A public key that may vouch for patches.

    Attributes:
      file: that it was read from: what to call it.
      tasks: names of tasks that it may sign for, or beginnings of names with `*` after them; None
        is any.
    """

    file: str
    tasks: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return self.file

    def check_may_sign(self, task: str) -> None:
        """Raises NotDelegatedError unless it may sign for `task`."""
        if self.tasks is not None and not any(_covers(name, task) for name in self.tasks):
            raise NotDelegatedError(
                f"{self.file} is trusted for {', '.join(self.tasks)}, and not for {task!r}"
            )


Trusted = Mapping[bytes, TrustedKey]
"""The keys that a reader trusts, by their 32 bytes."""


def _covers(name: str, task: str) -> bool:
    return task.startswith(name[:-1]) if name.endswith("*") else task == name
