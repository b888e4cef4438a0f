"""The server as a client meets it: a real one on this machine's loopback."""

import base64
import concurrent.futures
import gzip
import http.client
import json
import socket
import urllib.parse
import zlib

import numpy as np
import pytest

from adapters.serving.limits import Limits
from adapters.serving.network import MixedNetwork
from adapters.store.write import encode_patch
from tests import narrow
from tests.serving import patches
from tests.serving.loopback import BEARER, ask, served
from tests.serving.questions import (
    BOUNDARY,
    OWN,
    check,
    figure,
    form,
    held_back,
    pixels_of,
    png,
    wait_until,
)


def test_many_clients_of_many_tasks_each_get_their_own_answer(address):
    def one(number):
        contents, pixels = OWN["abc"[number % 3]], pixels_of(number)
        check(ask(address, "POST", f"/tasks/{contents.task}", png(pixels)), contents, pixels)

    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        list(clients.map(one, range(60)))
    _, figures = ask(address, "GET", "/metrics")
    lines = dict(line.rsplit(" ", 1) for line in figures.decode().splitlines() if line[0] != "#")
    answered = sum(float(lines[f'modelpatch_answers_total{{task="{name}"}}']) for name in "abc")
    assert answered >= 60
    passes = float(lines["modelpatch_batch_images_count"])
    assert passes < float(lines["modelpatch_batch_images_sum"])  # some passes were shared


def test_tasks_come_and_go_over_http(address):
    new, pixels = patches.contents("d", 9), pixels_of(1)
    assert ask(address, "POST", "/tasks/d", png(pixels))[0] == 404
    assert ask(address, "PUT", "/tasks/d", encode_patch(new), BEARER) == (
        200,
        {"task": "d", "version": "1.0.0"},
    )
    check(ask(address, "POST", "/tasks/d", png(pixels)), new, pixels)
    newer = patches.contents("d", 10, version="2.0.0")
    assert ask(address, "PUT", "/tasks/d", encode_patch(newer), BEARER)[1]["version"] == "2.0.0"
    check(ask(address, "POST", "/tasks/d", png(pixels)), newer, pixels)
    listed = ask(address, "GET", "/tasks")[1]
    assert [task["task"] for task in listed["tasks"]] == ["a", "b", "c", "d"]
    assert listed["capacity"] == 4
    status, body = ask(address, "PUT", "/tasks/e", encode_patch(patches.contents("e", 3)), BEARER)
    assert (status, body["error"]) == (409, "FullError")
    assert ask(address, "DELETE", "/tasks/d", None, BEARER)[0] == 204
    assert ask(address, "DELETE", "/tasks/d", None, BEARER)[0] == 404


def large_header():
    """A PNG of 60,000 x 60,000 pixels, by its header."""
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n"
        + (13).to_bytes(4, "big")
        + header
        + zlib.crc32(header).to_bytes(4, "big")
        + b"\0\0\0\0IDAT5\xaf\x06\x1e\0\0\0\0IEND\xaeB`\x82"
    )


def damaged_patch():
    data = bytearray(encode_patch(OWN["a"]))
    data[-1] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/nothing", None, 404, "HTTPException"),
        ("PATCH", "/tasks/a", b"", 405, "HTTPException"),
        ("POST", "/tasks/a", b"", 422, "UnreadableImageError"),
        ("POST", "/tasks/a", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 422, None),
        ("POST", "/tasks/a", b"no image", 422, "UnreadableImageError"),
        ("POST", "/tasks/a", png(pixels_of(0))[:200], 422, "UnreadableImageError"),
        ("POST", "/tasks/a", bytes(30_000), 413, "TooMuchError"),
        ("POST", "/tasks/a", large_header(), 413, "TooMuchError"),
        ("POST", "/tasks/zzz", png(pixels_of(0)), 404, "UnknownNameError"),
        ("PUT", "/tasks/a", b"no patch", 422, None),
        ("PUT", "/tasks/a", damaged_patch(), 422, "DigestError"),
        ("PUT", "/tasks/b", encode_patch(OWN["a"]), 422, "WrongTaskError"),
        ("PUT", "/tasks/a", bytes(70_000), 413, "TooMuchError"),
    ],
)
def test_bad_input_is_refused_in_words(address, method, path, body, status, error):
    found, answer = ask(address, method, path, body, BEARER)
    assert found == status
    assert error in (None, answer["error"])
    assert len(answer["message"]) > 20
    check(ask(address, "POST", "/tasks/a", png(pixels_of(3))), OWN["a"], pixels_of(3))


def test_a_form_brings_an_image_or_a_patch(address):
    new, pixels = patches.contents("e", 9), pixels_of(1)
    assert ask(address, "PUT", "/tasks/e", form(encode_patch(new)), BOUNDARY | BEARER)[0] == 200
    check(ask(address, "POST", "/tasks/e", form(png(pixels)), BOUNDARY), new, pixels)
    status, said = ask(address, "POST", "/tasks/e", form(png(pixels), ("spot", "1")), BOUNDARY)
    assert (status, said["error"]) == (422, "InputsError")
    body = form(encode_patch(new), ("a", "1"))
    status, said = ask(address, "PUT", "/tasks/e", body, BOUNDARY | BEARER)
    assert (status, said["error"]) == (422, "FormError")
    status, said = ask(address, "POST", "/tasks/e", form(png(pixels))[:-9], BOUNDARY)
    assert (status, said["error"]) == (422, "FormError")
    assert ask(address, "DELETE", "/tasks/e", None, BEARER)[0] == 204


@pytest.mark.parametrize("top", [1, 3, 99])
@pytest.mark.parametrize("as_form", [False, True])
def test_a_request_says_how_many_labels_it_wants(address, top, as_form):
    contents, file = OWN["b"], png(pixels_of(5))
    path, body, headers = f"/tasks/b?top={top}", file, {}
    if as_form:
        path, body, headers = "/tasks/b", form(file, ("top", str(top))), BOUNDARY
    status, said = ask(address, "POST", path, body, headers)
    logits = patches.alone(contents, np.asarray(narrow.normalised(pixels_of(5)))[None])[0]
    wanted = [contents.labels[index] for index in np.argsort(-logits)[:top]]
    assert (status, [one["label"] for one in said["answers"]]) == (200, wanted)


@pytest.mark.parametrize("query", ["0", "-1", "x", "1.5", "", "5001", "9" * 20, "2&top=2"])
def test_any_other_number_of_labels_is_refused(address, query):
    status, said = ask(address, "POST", f"/tasks/b?top={query}", png(pixels_of(5)))
    assert (status, said["error"]) == (422, "InputsError")
    assert "top" in said["message"]


def test_the_list_of_tasks_says_how_good_each_is(address):
    listed = ask(address, "GET", "/tasks")[1]["tasks"]
    wanted = {name: (one.metric, one.scores) for name, one in OWN.items()}
    assert {one["task"]: (one["metric"], one["scores"]) for one in listed} == wanted


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("said", "wrap"),
    [
        ("JSON", lambda data: json.dumps({"image": base64.b64encode(data).decode()}).encode()),
        ("JSON", lambda data: json.dumps([[list(data[:9])]]).encode()),
        ("base64", base64.b64encode),
        ("base64", base64.encodebytes),
        ("data URL", lambda data: b"data:image/png;base64," + base64.b64encode(data)),
        ("gzip", gzip.compress),
        ("Content-Type", form),
        ("form of text", lambda data: b"image=" + urllib.parse.quote_plus(data).encode()),
        ("form of text", lambda data: b"image=@red.png"),
        ("line ends", lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
    ],
)
def test_a_file_in_something_else_is_named_with_what_to_send(address, method, said, wrap):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl says, whatever it sends
    status, answer = ask(address, method, "/tasks/a", wrap(png(pixels_of(0))), kind | BEARER)
    assert (status, answer["error"]) == (415, "MediaTypeError")
    assert said in answer["message"]
    assert "curl --data-binary @FILE" in answer["message"]


def test_a_compressed_body_is_refused_before_it_comes(address):
    headers = {"Content-Encoding": "gzip", "Content-Length": str(10**4)}
    status, answer = ask(address, "POST", "/tasks/a", None, headers)
    assert (status, answer["error"]) == (415, "MediaTypeError")
    assert "gzip" in answer["message"]
    headers = {"Content-Encoding": "identity"}
    assert ask(address, "POST", "/tasks/a", png(pixels_of(0)), headers)[0] == 200


def test_a_server_that_ends_answers_those_who_wait():
    with held_back() as (address, server, clients, gate, passes):
        assert ask(address, "GET", "/health")[0] == 200
        waiting = [
            clients.submit(ask, address, "POST", "/tasks/a", png(pixels_of(n))) for n in range(3)
        ]
        wait_until(lambda: passes and figure(address, "modelpatch_waiting") == 2)
        server.should_exit = True
        gate.set()
        for number, future in enumerate(waiting):
            check(future.result(20), OWN["a"], pixels_of(number))


def test_whoever_hangs_up_is_not_computed():
    body = png(pixels_of(0))
    with held_back() as (address, _, clients, gate, passes):
        first = clients.submit(ask, address, "POST", "/tasks/a", body)
        wait_until(lambda: passes)
        for number in range(1, 5):
            gone = http.client.HTTPConnection(*address[:2])
            gone.request("POST", "/tasks/a", body)
            wait_until(lambda: figure(address, "modelpatch_waiting") == 1)
            gone.close()
            hung_up = 'modelpatch_requests_total{status="499"}'
            wait_until(lambda n=number, name=hung_up: figure(address, name) == n)
        gate.set()
        check(first.result(20), OWN["a"], pixels_of(0))
        assert len(passes) == 1


def test_a_failure_is_json_and_counted():
    network = MixedNetwork(narrow.BACKBONE, patches.WEIGHTS, [narrow.SIZE], 1, (1,))
    network.add(OWN["a"])
    network.compile()
    with served(network) as (address, _):
        network.predictions = lambda examples: []
        status, body = ask(address, "POST", "/tasks/a", png(pixels_of(0)))
        assert (status, body["error"]) == (500, "Error")
        network.predictions = lambda examples: [{"logits": np.float32([np.nan, 0, 0])}]
        status, body = ask(address, "POST", "/tasks/a", png(pixels_of(0)))
        assert (status, body["error"]) == (422, "NoAnswerError")
        assert figure(address, 'modelpatch_requests_total{status="500"}') == 1


def test_a_full_queue_sends_clients_away_to_come_again():
    body = png(pixels_of(0))
    with held_back(Limits(queue=1)) as (address, _, clients, gate, _):
        waiting = [clients.submit(ask, address, "POST", "/tasks/a", body) for _ in range(6)]
        refused = 'modelpatch_requests_total{status="503"}'
        wait_until(lambda: figure(address, refused) == 5)
        gate.set()
        assert sorted(future.result(20)[0] for future in waiting) == [200, *[503] * 5]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_too_large_by_its_own_account_need_not_come(address, method):
    head = f"{method} /tasks/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n"
    head += f"Authorization: {BEARER['Authorization']}\r\n"
    with socket.create_connection(address[:2], 5) as patient:
        patient.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert patient.recv(1000).startswith(b"HTTP/1.1 413")


def test_only_installed_tasks_have_figures(address):
    ask(address, "POST", "/tasks/a", png(pixels_of(0)))
    for method in ("POST", "PUT", "DELETE"):
        ask(address, method, "/tasks/no_such_task", png(pixels_of(0)), BEARER)
    _, figures = ask(address, "GET", "/metrics")
    assert b'task="a"' in figures
    assert b"no_such_task" not in figures
