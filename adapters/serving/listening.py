"""Where a server listens: at a port, and at a Unix socket for changes."""

import asyncio
import functools
import os
import pathlib
import socket
import stat

import uvicorn
from starlette.applications import Starlette

from adapters.errors import ModelPatchError
from adapters.serving.connections import Connection
from adapters.serving.limits import Limits
from adapters.serving.places import Places

_BACKLOG = 64


class SocketError(ModelPatchError):
    """No Unix socket can be made there."""

    settings = ("changes_socket",)


class Server(uvicorn.Server):
    """Serves until a signal comes, and then until those who wait are answered.

    Args:
      application: what answers.
      limits: of the connections.
      host, port: to listen at; port 0 is any free one.
      changes: path of a Unix socket to listen at as well, which only this user may open; None for
        none.
      drain_seconds: that those who wait may take at the end.

    Raises SocketError.
    """

    def __init__(
        self,
        application: Starlette,
        limits: Limits,
        host: str = "127.0.0.1",
        port: int = 0,
        changes: str | None = None,
        drain_seconds: int = 30,
    ):
        super().__init__(
            uvicorn.Config(
                application,
                host=host,
                port=port,
                http=functools.partial(  # type: ignore[arg-type]
                    Connection, limits=limits, places=Places(limits.connections)
                ),
                ws="none",
                lifespan="on",
                log_level="info",
                access_log=False,
                proxy_headers=False,  # nothing here reads who a proxy says is asking
                timeout_keep_alive=limits.rest_seconds,
                timeout_graceful_shutdown=drain_seconds,
            )
        )
        self._path = None if changes is None else pathlib.Path(changes)
        self._socket = None if self._path is None else _bound(self._path)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, at the port last."""
        await super().startup(sockets)
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            self.servers.append(await loop.create_unix_server(self._connection, sock=self._socket))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes nothing new, answers those who wait, and ends."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        await super().shutdown(sockets)

    def _connection(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


def _bound(path: pathlib.Path) -> socket.socket:
    """A socket that only this user may open, in place of one that nobody listens at any more."""
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # from the first moment, and not by a change of its mode
    try:
        _clear(path)
        listening.bind(str(path))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SocketError(f"{path} cannot be listened at: {error}.") from error
    except SocketError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _clear(path: pathlib.Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise SocketError(f"{path} is there and no socket: choose another path.")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketError(f"another server listens at {path}: end it, or choose another path.")
