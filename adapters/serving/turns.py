"""Whose turn it is, where few can be served at once and some ask more often than others."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator


class Turns:
    """So many turns at once; those who wait stand in a line each client, and lines take turns.

    Who asks for a hundred things at once is thus in nobody's way but its own: the next client waits
    for one of them at most.

    Args:
      count: turns at once.
    """

    def __init__(self, count: int):
        self._free = count
        self._lines: dict[str, collections.deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """The block has a turn; waits for one first."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(client)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, client: str) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._lines.setdefault(client, collections.deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it was given at the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._lines:
            client = next(iter(self._lines))
            line = self._lines.pop(client)
            mine = line.popleft()
            if line:
                self._lines[client] = line  # behind all others
            if not mine.done():
                mine.set_result(None)
                return
        self._free += 1
