"""Tasks of the narrow network, questions to them, and what is right."""

import concurrent.futures
import contextlib
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from adapters.serving.network import MixedNetwork
from tests import narrow
from tests.serving import patches
from tests.serving.loopback import LIMITS, ask, served

OWN = {name: patches.contents(name, seed, classes=3 + seed) for seed, name in enumerate("abc")}


def pixels_of(seed):
    return np.random.default_rng(seed).integers(0, 256, (narrow.SIZE, narrow.SIZE, 3), np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def expected(contents, pixels):
    logits = patches.alone(contents, np.asarray(narrow.normalised(pixels))[None])[0]
    best = np.argsort(-logits)[:2]
    shares = np.exp(logits) / np.exp(logits).sum()
    return [(contents.labels[index], shares[index]) for index in best]


def check(answer, contents, pixels):
    status, body = answer
    assert (status, body["task"]) == (200, contents.task)
    found = [(one["label"], one["probability"]) for one in body["answers"]]
    for (label, share), (right, right_share) in zip(found, expected(contents, pixels), strict=True):
        assert label == right
        assert share == pytest.approx(right_share, rel=1e-3)


BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


def form(file, *fields):
    """A form with this file, and the fields (name, text)."""
    texts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields
    ]
    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n'
    return b"".join(texts) + head + file + b"\r\n--b--\r\n"


def figure(address, name):
    """One of the figures at /metrics; 0 while it has not been counted."""
    _, text = ask(address, "GET", "/metrics")
    lines = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")
    return float(lines.get(name, 0))


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


@contextlib.contextmanager
def held_back(limits=LIMITS, clients=6):
    """A server whose network answers only once `gate` is set.

    Gives the address, the server, a pool of clients, the gate, and how many passes have begun.
    """
    network = MixedNetwork(narrow.BACKBONE, patches.WEIGHTS, [narrow.SIZE], 1, (1,))
    network.add(OWN["a"])
    network.compile()
    answer, gate, passes = network.predictions, threading.Event(), []

    def slow(examples):
        passes.append(len(examples))
        gate.wait(30)
        return answer(examples)

    network.predictions = slow
    with (
        concurrent.futures.ThreadPoolExecutor(clients) as pool,
        served(network, limits) as (address, server),
    ):
        yield address, server, pool, gate, passes
