"""A good client among many that do their worst; each has an address of its own, as limits count."""

import concurrent.futures
import contextlib
import dataclasses
import gc
import itertools
import socket
import sys

import numpy as np
import pytest

from adapters.serving import decoding
from adapters.serving.places import Places
from tests.serving.loopback import LIMITS, ask, served
from tests.serving.questions import OWN, check, figure, held_back, pixels_of, png, wait_until

GOOD, SLOW, SENDER = "127.0.0.1", "127.0.1.{}", "127.0.2.{}"
LARGE = png(np.zeros((90, 90, 3), np.uint8))
CONNECTIONS, IMAGES = 24, 8
WORDS = (
    b"",
    b"POST /tasks/a HT",
    b"POST /tasks/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs many loopback addresses")


def test_among_slow_clients_and_large_images_every_good_question_is_answered(network, monkeypatch):
    monkeypatch.setattr(decoding, "SMALL", 2000)  # pixels
    limits = dataclasses.replace(LIMITS, connections=CONNECTIONS, queue=IMAGES)
    with (
        served(network, limits) as (address, server),
        contextlib.ExitStack() as stack,
        concurrent.futures.ThreadPoolExecutor(4) as senders,
    ):
        for number, said in zip(range(50), itertools.cycle(WORDS), strict=False):
            source = (SLOW.format(1 + number % 5), 0)
            slow = stack.enter_context(socket.create_connection(address[:2], 20, source))
            slow.sendall(said)
        sent = [
            senders.submit(ask, address, "POST", "/tasks/a", LARGE, None, SENDER.format(1 + n % 2))
            for n in range(4)
        ]
        for number in range(10):
            answer = ask(address, "POST", "/tasks/b", png(pixels_of(number)), None, GOOD)
            check(answer, OWN["b"], pixels_of(number))
            assert len(server.server_state.connections) <= CONNECTIONS
            assert figure(address, "modelpatch_waiting") <= IMAGES
        # Those who send large images are answered too, or told to come again.
        assert {one.result(20)[0] for one in sent} <= {200, 503}


def test_one_client_takes_no_more_than_half_of_the_queue():
    with held_back(dataclasses.replace(LIMITS, queue=4)) as (address, _, clients, gate, _):
        body = png(pixels_of(0))

        def asked(source):
            return ask(address, "POST", "/tasks/a", body, None, source)

        many = [clients.submit(asked, GOOD) for _ in range(2)]
        wait_until(lambda: figure(address, "modelpatch_waiting") == 1)
        status, said = asked(GOOD)
        assert (status, said["error"]) == (503, "BusyError")
        other = clients.submit(asked, SLOW.format(1))
        wait_until(lambda: figure(address, "modelpatch_waiting") == 2)
        gate.set()
        for one in (*many, other):
            check(one.result(20), OWN["a"], pixels_of(0))


def test_a_collection_of_garbage_passes_over_what_was_there_before_the_server(network):
    """It would take a quarter of a second, and connections that come and go bring many on."""
    gc.unfreeze()  # what conftest.py has frozen
    with served(network):
        assert gc.get_freeze_count() > 10_000
    assert not gc.get_freeze_count()


class Guest:
    def __init__(self, name, waits=True):
        self.name, self.waits, self.sent_away = name, waits, False

    def send_away(self):
        self.sent_away = True


def test_the_most_silent_gives_its_place_and_one_client_has_half_of_them():
    places, names = Places(4), ("a", "a", "b", "c")
    guests = [Guest(name) for name in names]
    assert all(places.take(guest) for guest in guests)
    places.hear(guests[0])
    assert places.take(Guest("a"))  # in place of its own, though that is not the most silent
    assert [guest.sent_away for guest in guests] == [False, True, False, False]
    assert places.take(Guest("d"))
    assert [guest.sent_away for guest in guests] == [False, True, True, False]
    places.leave(guests[0])
    assert places.take(Guest("e"))
    assert not guests[3].sent_away
    busy = Places(2)
    assert busy.take(Guest("a", waits=False))
    assert busy.take(Guest("b", waits=False))
    assert not busy.take(Guest("c"))
