"""Coverage-guided fuzzing of a server's requests, in one process; not part of the tests.

    python -m tests.serving.fuzz_requests out/fuzz/requests -max_total_time=600

Each input is all that a client sends on a connection, in two parts. It must be answered in words,
or not at all; nothing may be kept once the client has gone. Images are decoded in this process, by
what decodes them elsewhere.
"""

import asyncio
import logging
import re
import sys

import atheris

with atheris.instrument_imports(include=["adapters.serving", "adapters.preprocessing"]):
    from adapters.preprocessing import Preprocessing, view_of
    from adapters.serving import app, decoder, decoding
    from adapters.serving.connections import Connection
    from adapters.serving.installing import InMemory
    from adapters.serving.listening import Server
    from adapters.serving.network import MixedNetwork
    from adapters.serving.places import Places
    from adapters.view import View
    from tests import fuzzing, narrow
    from tests.serving import patches
    from tests.serving.loopback import ACCESS, LIMITS, READ
    from tests.serving.questions import OWN
    from tests.serving.test_any_request import REQUESTS, STATUSES, TOKENS, request

LARGEST = 2**14  # bytes of an input
PATIENCE = 0.003  # seconds that a request may need before its client goes
LATE = 20.0  # seconds in which one has to end once its client has gone
LOOK = 200  # inputs between two looks at what the server holds
FIGURES = request("GET", "/metrics")
HELD = (b"modelpatch_body_bytes 0.0", b"modelpatch_waiting 0.0")
STATUS = re.compile(rb"(?:^|\r\n|\})HTTP/1\.1 (\d+) ")


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.2", 1), "sockname": ("127.0.0.1", 80)})
        self.written = bytearray()
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self._closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        """There is nothing to pause."""

    resume_reading = pause_reading


class Asked:
    """A server without sockets."""

    def __init__(self, network: MixedNetwork, loop: asyncio.AbstractEventLoop):
        application = app.application(network, InMemory(network, READ), LIMITS, ACCESS)
        self._loop, self._server, self._count = loop, Server(application, LIMITS), 0
        self._places = Places(LIMITS.connections)
        self._wrong: list[str] = []
        loop.set_exception_handler(lambda _, context: self._wrong.append(str(context)))
        self._lifespan = application.router.lifespan_context(application)
        loop.run_until_complete(self._lifespan.__aenter__())

    def close(self) -> None:
        """Ends the server."""
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))

    def one(self, data: bytes, patience: float = PATIENCE) -> None:
        """Sends one input, whose client goes once its patience, in seconds, is at an end."""
        said = self._loop.run_until_complete(self._answers(data, patience))
        for status in STATUS.findall(said):
            assert int(status) in STATUSES | {100}, said
        self._count += 1
        if self._count % LOOK == 0:
            figures = self._loop.run_until_complete(self._answers(FIGURES, LATE))
            assert all(held in figures for held in HELD), figures
        assert not self._wrong, self._wrong
        assert not self._server.server_state.connections

    async def _answers(self, data: bytes, patience: float) -> bytes:
        state, transport = self._server.server_state, _Transport()
        connection = Connection(
            self._server.config, state, {}, self._loop, limits=LIMITS, places=self._places
        )
        connection.connection_made(transport)
        half = len(data) // 2
        for part, wait in ((data[:half], PATIENCE), (data[half:], patience)):
            if part and not transport.is_closing():
                connection.data_received(part)
            while state.tasks:
                ended, _ = await asyncio.wait(state.tasks, timeout=wait)
                if not ended:
                    break
        connection.connection_lost(None)
        if state.tasks:
            _, left = await asyncio.wait(state.tasks, timeout=LATE)
            assert not left, "it goes on for nobody"
        return bytes(transport.written)


async def decode(
    _: decoding.Decoders, data: bytes, how: Preprocessing, client: str
) -> tuple[decoding.Array, View]:
    """`Decoders.decode` in this process."""
    pixels, (width, height) = decoder.pixels(data, how, LIMITS.pixels, LIMITS.scans)
    return pixels, view_of(width, height, how)


def _compiled() -> MixedNetwork:
    network = MixedNetwork(narrow.BACKBONE, patches.WEIGHTS, [narrow.SIZE], 4, (1, 4))
    for contents in OWN.values():
        network.add(contents)
    network.compile()
    return network


if __name__ == "__main__":
    decoding.Decoders.decode = decode  # type: ignore[method-assign,assignment]
    logging.disable()
    asked = Asked(_compiled(), asyncio.new_event_loop())
    fuzzing.run(sys.argv, asked.one, REQUESTS, LARGEST, tokens=TOKENS)
