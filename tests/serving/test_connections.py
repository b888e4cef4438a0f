"""Clients that stay silent, are slow, or are many: what they cannot do to others."""

import contextlib
import dataclasses
import http.client
import select
import socket

import pytest

from adapters.preprocessing import view_of
from adapters.serving import decoding
from adapters.serving.clients import client_of
from adapters.store.write import encode_patch
from tests.serving import patches
from tests.serving.loopback import BEARER, LIMITS, ask, served
from tests.serving.questions import OWN, check, figure, held_back, pixels_of, png, wait_until

# Four of one client, and no deadline that a test would wait for.
FEW = dataclasses.replace(LIMITS, connections=8, head_seconds=900, body_seconds=900)
POST = b"POST /tasks/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"


@contextlib.contextmanager
def opened(address, count, said=b""):
    """Sockets that each say the same, and then nothing."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(address[:2], 20))
            one.sendall(said)
            sockets.append(one)
        yield sockets


def ended(one):
    """All that a socket brings until the server closes it."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := one.recv(4096):
            found += part
    return found


def answered(address, task="a"):
    check(ask(address, "POST", f"/tasks/{task}", png(pixels_of(0))), OWN[task], pixels_of(0))


@pytest.mark.parametrize("said", [b"", b"POST /tasks/a HT", POST, POST + b"some of the body"])
def test_clients_that_do_not_go_on_shut_nobody_out(network, said):
    with served(network, FEW) as (address, server), opened(address, 30, said) as silent:
        answered(address)
        answered(address, "b")
        # The others have lost their places.
        wait_until(lambda: len(select.select(silent, [], [], 0)[0]) >= 26)
        wait_until(lambda: len(server.server_state.connections) <= 4)


def test_whoever_is_being_answered_keeps_the_place(network):
    with held_back(FEW) as (address, _, clients, gate, passes):
        body = png(pixels_of(0))
        waiting = [clients.submit(ask, address, "POST", "/tasks/a", body) for _ in range(4)]
        wait_until(lambda: len(passes) == 1)
        with opened(address, 3):  # who come in vain make no room for others
            wait_until(lambda: ask_or_none(address) == (503, "BusyError"))
        gate.set()
        for one in waiting:
            check(one.result(20), OWN["a"], pixels_of(0))
        answered(address)


def ask_or_none(address):
    """Status and error of a question that may be cut off."""
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        status, said = ask(address, "POST", "/tasks/a", b"no image")
        return status, said["error"]


def test_a_head_has_a_deadline_and_a_resting_connection_has_none(network):
    limits = dataclasses.replace(LIMITS, head_seconds=0.3)
    with served(network, limits) as (address, server):
        # Longer than clients and proxies keep a connection, as uvicorn's own five seconds are not.
        assert server.config.timeout_keep_alive == 75
        resting = http.client.HTTPConnection(*address[:2], timeout=20)
        resting.request("GET", "/health")
        resting.getresponse().read()
        kept = resting.sock
        with opened(address, 1) as (silent,), opened(address, 1, b"GET /health HT") as (slow,):
            assert ended(silent) == b""
            assert ended(slow).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        resting.request("GET", "/health")
        assert resting.getresponse().read() == b""
        assert resting.sock is kept
        kept.sendall(b"G")
        assert ended(kept).startswith(b"HTTP/1.1 408")
        resting.close()


def test_a_body_has_a_deadline_and_takes_no_place_in_the_queue(network):
    limits = dataclasses.replace(LIMITS, queue=1, body_seconds=1.5)
    with served(network, limits) as (address, _), opened(address, 3, POST + b"some") as stalled:
        answered(address)
        for one in stalled:
            assert one.recv(1000).startswith(b"HTTP/1.1 408")


def test_an_answer_has_a_deadline_in_words(monkeypatch):
    async def at_once(self, data, how, client):  # a process may take longer to start
        return pixels_of(0), view_of(8, 8, how)

    monkeypatch.setattr(decoding.Decoders, "decode", at_once)
    limits = dataclasses.replace(LIMITS, queue=1, answer_seconds=0.3)
    with held_back(limits) as (address, _, _, gate, passes):
        for _ in range(2):  # the first leaves no place taken
            status, said = ask(address, "POST", "/tasks/a", png(pixels_of(0)))
            assert (status, said["error"]) == (503, "BusyError")
            assert "all the time" in said["message"]
        assert len(passes) == 1
        gate.set()


def test_a_client_that_does_not_take_its_answers_is_given_up(network):
    limits = dataclasses.replace(LIMITS, request_seconds=0.3, head_seconds=0.3)
    with served(network, limits) as (address, server), opened(address, 1) as (deaf,):
        deaf.settimeout(0.3)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:  # until nothing more fits into any buffer on the way
                deaf.sendall(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        wait_until(lambda: not server.server_state.connections)


def test_a_slow_patch_keeps_no_other_from_being_installed(network):
    data = encode_patch(patches.contents("d", 3))
    head = f"PUT /tasks/d HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n"
    head += f"Authorization: {BEARER['Authorization']}\r\nExpect: 100-continue\r\n\r\n"
    with served(network) as (address, _), opened(address, 1, head.encode()) as (slow,):
        assert slow.recv(1000).startswith(b"HTTP/1.1 100")  # it has begun to be read
        slow.sendall(data[:100])
        newer = encode_patch(patches.contents("d", 4, version="2.0.0"))
        assert ask(address, "PUT", "/tasks/d", newer, BEARER)[0] == 200
        slow.sendall(data[100:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        assert ask(address, "GET", "/tasks")[1]["tasks"][-1]["version"] == "1.0.0"
        assert ask(address, "DELETE", "/tasks/d", None, BEARER)[0] == 204


def test_bytes_on_their_way_are_counted(network):
    limits = dataclasses.replace(LIMITS, image_bytes=20_000, bytes_in_flight=40_000)
    head = POST.replace(b"99", b"20000")
    image = png(pixels_of(0))
    with served(network, limits) as (address, _):
        answered(address)
        with opened(address, 1, head + bytes(19_000)):
            wait_until(lambda: figure(address, "modelpatch_body_bytes") == 19_000)
            status, said = ask(address, "POST", "/tasks/a", image)
            assert (status, said["error"]) == (503, "BusyError")
            assert ask(address, "POST", "/tasks/a", b"no image")[0] == 422
        wait_until(lambda: figure(address, "modelpatch_body_bytes") == 0)
        answered(address)
        assert ask(address, "POST", "/tasks/a", bytes(20_000))[0] == 422  # one alone always may


@pytest.mark.parametrize(
    ("address", "client"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8:0:1:2:3:4:5", 5), "2001:db8:0:1::/64"),
        (("2001:db8:0:1::", 7), "2001:db8:0:1::/64"),
        (None, ""),
    ],
)
def test_a_client_is_an_address_or_a_network_of_version_6(address, client):
    assert client_of(address) == client
