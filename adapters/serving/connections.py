"""A connection that is given up when it keeps its place for nothing.

uvicorn waits for a head and for a body as long as the client likes, and for any number of clients.
Here each has a deadline, and there is room for so many: whoever comes to a full house takes the
place of the one that has sent nothing for longest, among those whose turn it is to send. So sockets
that stay silent shut nobody out. Only where all are being answered, whoever comes is sent away.
"""

import asyncio
import http
import json
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from adapters.serving.clients import client_of
from adapters.serving.limits import Limits
from adapters.serving.places import Places


class Connection(H11Protocol):
    """One client's connection, of as many requests as it makes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        places: Places,
    ):
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._places = limits, places
        self.name = ""
        self._spare = False  # beyond the limit: sent away once it asks
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn to send something."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def send_away(self) -> None:
        """Closes it at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a place, its own or another's."""
        super().connection_made(transport)
        self.name = client_of(self.client)
        self._enter("head")
        self._spare = not self._places.take(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives the place back."""
        self._places.leave(self)
        self._enter("")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, until the deadline of whatever has begun."""
        self._places.hear(self)
        if self._spare:
            self._refuse(503, "BusyError", "too many connections are open; try again later.")
            return
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Begins anew: the next request, which may be there already, has a deadline of its own."""
        self._enter("")
        super().on_response_complete()
        self._look()

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection that rests, also one whose client has not taken the last answer."""
        super().timeout_keep_alive_handler()
        self._look()

    def _look(self) -> None:
        if self.transport.is_closing():
            self._places.leave(self)
            self._enter("end")
        elif self.conn.their_state is not h11.IDLE:
            self._enter("request")
        elif self.conn.trailing_data[0]:
            self._enter("head")
        elif self._phase != "head":  # the first head's time runs from the first moment
            self._enter("")

    def _enter(self, phase: str) -> None:
        if phase == self._phase:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._phase, self._deadline = phase, None
        late: dict[str, tuple[float, Callable[[], None]]] = {
            "head": (self._limits.head_seconds, self._head_late),
            "request": (self._limits.request_seconds, self.transport.abort),
            "end": (self._limits.head_seconds, self.transport.abort),
        }
        if phase in late:
            self._deadline = self.loop.call_later(*late[phase])

    def _head_late(self) -> None:
        if self.conn.trailing_data[0]:
            seconds = self._limits.head_seconds
            self._refuse(408, "TooSlowError", f"the head took longer than {seconds:g} s.")
        else:
            self.transport.close()
            self._look()

    def _refuse(self, status: int, kind: str, message: str) -> None:
        body = json.dumps({"error": kind, "message": message}).encode()
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
            "Content-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        self._look()
