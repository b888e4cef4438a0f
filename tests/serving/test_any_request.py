"""Whatever is sent to a server, it answers in words or hangs up, and goes on as before."""

import asyncio
import contextlib
import importlib
import re
import socket
import sys
import types

import hypothesis
from hypothesis import strategies

from adapters.serving import decoding, forms
from adapters.serving.errors import FormError
from tests.serving.loopback import BEARER, ask
from tests.serving.questions import BOUNDARY, OWN, check, figure, form, pixels_of, png

IMAGE = png(pixels_of(1))
STATUSES = {200, 400, 401, 403, 404, 405, 408, 411, 413, 415, 421, 422, 431, 503}
TOKENS = [
    *(b"\r\n", b"\r\n\r\n", b"\0", b"\xff", b" ", b":", b"--b", b"--b--", b"%00", b"%2e%2e/"),
    *(b"Content-Length: 0\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999\r\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"Host: a\r\n", b"Origin: null\r\n", b"Upgrade: websocket\r\n", b"?x=1&x=2", b"7fffffff\r\n"),
]


def request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


REQUESTS = [
    request("POST", "/tasks/a", IMAGE),
    request("POST", "/tasks/b?place=1,2", form(IMAGE, ("place", "0.5")), BOUNDARY),
    request("PUT", "/tasks/other", b"no patch at all", BEARER | {"Patch-Signature": "ed25519"}),
    request("DELETE", "/tasks/a"),
    request("GET", "/tasks"),
    request("GET", "/health") + request("GET", "/metrics"),
]


@strategies.composite
def changed(draw, texts):
    """One of the texts, with up to four parts of it taken out, replaced, repeated or moved."""
    text = draw(strategies.sampled_from(texts))
    for _ in range(draw(strategies.integers(0, 4))):
        # Most of what matters stands at the start: a large image would hide it.
        limit = draw(strategies.sampled_from([min(len(text), 200), len(text)]))
        start = draw(strategies.integers(0, limit))
        end = draw(strategies.integers(start, min(len(text), start + 40)))
        put = draw(
            strategies.one_of(
                strategies.sampled_from([b"", text[start:end] * 2, *TOKENS]),
                strategies.binary(max_size=8),
            )
        )
        text = text[:start] + put + text[end:]
    return text


def answers_to(address, data):
    """All that the server sends until it hangs up, knowing that no more will come."""
    with socket.create_connection(address[:2], timeout=20) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := client.recv(2**16):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def test_whatever_is_sent_is_answered_in_words_or_not_at_all(address):
    before = figure(address, 'modelpatch_requests_total{status="500"}')

    @hypothesis.given(changed(REQUESTS))
    @hypothesis.settings(max_examples=50, deadline=None, database=None)
    def sent(data):
        for status in re.findall(rb"(?:^|\r\n|\})HTTP/1\.1 (\d+) ", answers_to(address, data)):
            assert int(status) in STATUSES | {100}

    sent()
    assert figure(address, 'modelpatch_requests_total{status="500"}') == before == 0
    assert [one["task"] for one in ask(address, "GET", "/tasks")[1]["tasks"]] == sorted(OWN)
    check(ask(address, "POST", "/tasks/a", IMAGE), OWN["a"], pixels_of(1))


def test_the_fuzzer_finds_nothing_wrong_with_what_it_begins_with(network, monkeypatch):
    """It needs a package that the tests do without, so that nobody would notice."""
    without = types.SimpleNamespace(instrument_imports=lambda include: contextlib.nullcontext())
    monkeypatch.setitem(sys.modules, "atheris", without)
    fuzzer = importlib.import_module("tests.serving.fuzz_requests")
    monkeypatch.delitem(sys.modules, fuzzer.__name__)
    monkeypatch.setattr(decoding.Decoders, "decode", fuzzer.decode)
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        asked = fuzzer.Asked(network, loop)
        for data in REQUESTS:
            asked.one(data, patience=20)
        asked.close()


@hypothesis.given(
    changed([form(IMAGE[:50], ("place", "0.5")), form(b""), b"--b--\r\n"]),
    strategies.one_of(strategies.just(BOUNDARY["Content-Type"]), strategies.text(max_size=40)),
)
@hypothesis.settings(max_examples=120, deadline=None, database=None)
def test_whatever_a_form_holds_it_is_one_or_none(data, kind):
    try:
        file, fields = forms.parse(data, kind)
    except FormError:
        return
    assert isinstance(file, bytes)
    assert all(isinstance(text, str) for pair in fields.items() for text in pair)
    assert len(file) <= len(data)
