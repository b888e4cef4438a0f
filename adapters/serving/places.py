"""Places for connections: so many in all, and half of them for one client."""

import itertools
from collections.abc import Hashable
from typing import Protocol


class Guest(Protocol, Hashable):
    """Who takes a place."""

    @property
    def name(self) -> str:
        """Of the client."""

    @property
    def waits(self) -> bool:
        """Whether it may be sent away: it is its turn to say something."""

    def send_away(self) -> None:
        """Takes its place from it."""


class Places:
    """Who has a place, whoever has been silent for longest first.

    Nothing here takes longer where there are many: whoever floods a server with connections has
    this done for each.

    Args:
      most: places; half of them for one client.
    """

    def __init__(self, most: int):
        self._most = most
        self._all: dict[Guest, None] = {}
        self._own: dict[str, dict[Guest, None]] = {}

    def take(self, guest: Guest) -> bool:
        """Lets one more in, in place of the most silent if need be; whether there is room."""
        own = self._own.get(guest.name, {})
        room = self._make_room(own, self._most // 2) and self._make_room(self._all, self._most)
        self._all[guest] = self._own.setdefault(guest.name, {})[guest] = None
        return room

    def hear(self, guest: Guest) -> None:
        """It has said something."""
        for held in (self._all, self._own.get(guest.name, {})):
            if guest in held:
                del held[guest]
                held[guest] = None

    def leave(self, guest: Guest) -> None:
        """It needs no place any more."""
        self._all.pop(guest, None)
        own = self._own.get(guest.name, {})
        own.pop(guest, None)
        if not own:
            self._own.pop(guest.name, None)

    def _make_room(self, held: dict[Guest, None], most: int) -> bool:
        surplus = max(0, len(held) + 1 - most)
        waiting = [*itertools.islice((one for one in held if one.waits), surplus)]
        for one in waiting:
            self.leave(one)
            one.send_away()
        return len(waiting) >= surplus
