"""`launch/benchmark_serving`: what is asked, what counts as wrong, and the rows of a whole run."""

import asyncio
import collections
import contextlib
import dataclasses
import http.server
import importlib.util
import json
import math
import random
import sys
import threading

import pytest

from adapters.benchmarking.interleave import MissingPeerError
from adapters.benchmarking.serving import (
    attack,
    attackers,
    load,
    malformed,
    measure,
    picture,
    questions,
    robustness,
    run,
)
from adapters.benchmarking.serving.questions import Answer, Question
from adapters.experiment import backbones
from adapters.preprocessing import Preprocessing
from adapters.serving import decoder
from adapters.serving.errors import TooMuchError
from adapters.store.write import write_patch
from adapters.training import tidy
from tests import commands, narrow
from tests.launch import small
from tests.serving import patches

LOGITS = {"cat": 2.0, "dog": 1.0, "owl": -1.0}
RIGHT = Answer("pets", "cat", LOGITS, 0.01)
ASKED = Question("image", "/tasks/pets", b"\x89PNG", answer=RIGHT)
GENERATORS = [
    pytest.param(("-m", "tests.launch.fake_load"), id="fake"),
    pytest.param(
        load.LOCUST,
        id="locust",
        marks=pytest.mark.skipif(
            not importlib.util.find_spec("locust"), reason="no Locust (requirements/load.lock)"
        ),
    ),
]


def answered(task="pets", **moved):
    """What a server says, with some logits moved."""
    logits = {label: logit + moved.get(label, 0.0) for label, logit in LOGITS.items()}
    total = sum(math.exp(logit) for logit in logits.values())
    ordered = sorted(logits, key=lambda label: -logits[label])[:2]
    answers = [
        {"label": label, "logit": logits[label], "probability": math.exp(logits[label]) / total}
        for label in ordered
    ]
    return json.dumps({"task": task, "version": "1", "answers": answers}).encode()


def test_questions_are_read_as_they_were_written(tmp_path):
    plain = Question("empty", "/tasks/x", b"", "PUT", {"A": "b"}, (422, 503), raw=True)
    questions.write(tmp_path, [ASKED, plain, ASKED])
    assert questions.read(tmp_path) == [ASKED, plain, ASKED]
    assert (tmp_path / questions.BODIES).read_bytes() == ASKED.body  # once


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (200, answered(), None),
        (200, answered(cat=0.009, dog=-0.009), None),
        (200, answered(dog=0.02), "the logit of dog"),
        (200, answered(owl=4.0), "not cat"),
        (200, answered("pats"), "of pats, not of pets"),
        (200, answered().replace(b'"probability": 0.7', b'"probability": 0.6'), "the probability"),
        (200, b'{"task": "pets", "answers": []}', "not cat"),
        (200, b"{}", "no answer"),
        (503, answered(), "status 503, not 200"),
    ],
)
def test_an_answer_that_is_not_the_network_s_is_a_mistake(status, content, said):
    found = questions.mistake(ASKED, status, content)
    assert (found is None) == (said is None)
    assert said is None or said in found


@pytest.mark.parametrize(
    ("raw", "content", "fine"),
    [
        (False, b'{"error": "X", "message": "it is no image of a kind."}', True),
        (False, b'{"error": "X", "message": "no"}', False),
        (False, b"Invalid HTTP request received.", False),
        (True, b"Invalid HTTP request received.", True),
        (True, b"", False),
    ],
)
def test_a_refusal_says_why(raw, content, fine):
    asked = Question("bad", "/tasks/pets", b"", statuses=(400,), raw=raw)
    assert (questions.mistake(asked, 400, content) is None) == fine


def test_every_kind_of_malformed_request_is_drawn_and_none_may_succeed():
    chance = random.Random(0)
    image = dataclasses.replace(ASKED, body=bytes(range(200)))
    drawn = [malformed.malformed(image, chance) for _ in range(600)]
    assert {question.kind for question in drawn} == set(malformed.KINDS)
    for question in drawn:
        assert question.answer is None
        assert not [status for status in question.statuses if status < 400]


@pytest.fixture(params=GENERATORS)
def generator(request):
    return load.Generator(sys.executable, request.param)


class _Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    contents = (answered(),)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        content = self.contents[self.server.asked % len(self.contents)]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        server.asked = 0
        threading.Thread(target=server.serve_forever).start()
        yield server, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_load_generator_asks_each_once_and_reports(answering, generator):
    server, host = answering
    report = generator.once(host, [ASKED] * 30, 3)
    assert server.asked == report.asked == report.kinds["image"] == 30
    assert 0 < report.p50 <= report.p99
    assert report.per_second > 0


def test_one_wrong_answer_is_found_among_right_ones(answering, generator, monkeypatch):
    monkeypatch.setattr(_Answering, "contents", (*[answered()] * 9, answered(dog=2.0)))
    with pytest.raises(load.WrongAnswerError, match=r"(?s)3 of 30 answers .*not cat"):
        generator.once(answering[1], [ASKED] * 30, 3)


def test_a_python_without_the_generator_is_told_what_to_install():
    with pytest.raises(MissingPeerError, match=r"requirements/load\.lock"):
        load.Generator(sys.executable, ("-m", "tests.launch.no_such_module"))


def test_a_run_writes_rows_and_can_be_resumed(tmp_path, generator):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    fingerprint = backbones.load("narrow", str(weights)).fingerprint
    paths, sources = [], []
    for seed, task in enumerate("ab"):
        small.write_folder(tmp_path / task, 2 + seed, images=40)
        sources.append(f"folder:{tmp_path / task}")
        contents = patches.contents(task, seed, classes=2 + seed)
        paths.append(str(tmp_path / f"{task}.patch"))
        write_patch(paths[-1], dataclasses.replace(contents, fingerprint=fingerprint))
    out, drawing = tmp_path / "serving.csv", tmp_path / "serving.png"

    def once(works):
        run.benchmark(
            paths,
            str(weights),
            sources,
            works,
            [4],
            150,
            1,
            1,
            generator,
            out,
            drawing,
            "x",
            resume=True,
            ours="tests.launch.small_serve",
            others="tests.launch.small_other_server",
        )
        return {(row.setting, row.metric): row for row in tidy.read(out)}

    rows = once(("throughput", robustness.WORK))
    shape = f"{narrow.SIZE} px, 2 tasks, 4 clients"
    named = {key[0].partition(f", {shape}")[0] for key in rows}
    assert named == {
        *(f"serving, {name}" for name in (run.MIXED, run.ONE_TASK, run.NETWORKS)),
        *(f"serving, peer {name}" for name in (run.ONE_TASK, run.NETWORKS)),
        "robustness, 150 requests",
    }
    values = {(key[0].partition(f", {shape}")[0], key[1]): row.value for key, row in rows.items()}
    mixed = f"serving, {run.MIXED}"
    assert values[mixed, "p50"] <= values[mixed, "p99"]
    assert values[mixed, "wrong answers"] == 0
    assert values["robustness, 150 requests", "requests"] == 150
    assert values["robustness, 150 requests", "answered after SIGTERM"] == 16
    assert drawing.read_bytes().startswith(b"\x89PNG")
    assert once(("throughput",)) == rows


def test_a_good_client_is_measured_alone_and_beside_attackers_in_turn(monkeypatch):
    @contextlib.contextmanager
    def attacked(port, path):
        counts = {}
        turns.append((port, path))
        yield counts
        turns.append("over")
        counts |= {"opened": 5, "200": len(turns)}

    class Asking:
        def for_seconds(self, host, asked, clients, seconds, seed):
            took = 30.0 if turns and turns[-1] != "over" else 10.0 + 10.0 * seed
            return load.Report(1.0, took / 2, took, {"image": 7})

    turns: list = []
    monkeypatch.setattr(attack, "attacked", attacked)
    settings = measure.Settings("narrow", "bias", 32, 2, 1, 3, 1, "x")
    server = _Server((), "all is well")
    rows = attack.compare(server, Asking(), [ASKED], settings)
    assert turns == [(1, "/tasks/pets"), "over"] * 3
    assert {row.metric: row.value for row in rows} == {
        "p50 alone": 10.0,
        "p50": 15.0,
        "p99 alone": 20.0,
        "p99": 30.0,
        "p99 beside alone": 1.5,  # of 3, 1.5 and 1
        "answers checked": 42,
        "wrong answers": 0,
        "of attackers: opened": 15,
        "of attackers: 200": 12,
    }
    with pytest.raises(load.WrongAnswerError, match="Traceback"):
        attack.compare(_Server((), "a request failed\nTraceback"), Asking(), [ASKED], settings)


@pytest.mark.skipif(sys.platform != "linux", reason="needs many loopback addresses")
def test_attackers_come_from_addresses_of_their_own_until_they_are_told_to_end(answering):
    server, _ = answering
    with attack.attacked(server.server_port, "/tasks/pets", 6, 0) as counts:
        assert counts == {}
    assert counts["opened"] >= 6
    counts = collections.Counter()
    bodies = iter([b"an image"] * 3)
    asyncio.run(
        attackers.send(server.server_port, "127.0.2.1", "/tasks/pets", bodies, True, counts)
    )
    assert counts == {"200": 3}


def test_the_worst_images_are_such_as_a_server_takes():
    how = Preprocessing(8, (1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
    data = attackers.with_scans(64)
    made, sides = decoder.pixels(data, how, 64**2, 32)
    assert (made.shape, sides) == ((8, 8, 3), (64, 64))
    with pytest.raises(TooMuchError, match="has 32 scans"):
        decoder.pixels(data, how, 64**2, 31)


class _Server:
    """Stands in for a server's process: what memory it takes at each look, and what it logs."""

    host, port = "http://127.0.0.1:1", 1

    def __init__(self, resident, log):
        self._resident, self._log = iter(resident), log

    def resident(self):
        return next(self._resident)

    def log(self):
        return self._log


@pytest.mark.parametrize(
    ("resident", "log", "error", "said"),
    [
        ((1000, 5000, 1000 + robustness.GROWTH), "", None, None),
        ((1000, 5000, 1001 + robustness.GROWTH), "", robustness.LeakError, "grew by 100,000,001"),
        ((1000, 5000, 1000), "a request failed\nTraceback", load.WrongAnswerError, "Traceback"),
    ],
)
def test_a_server_that_keeps_memory_or_fails_does_not_survive(
    monkeypatch, resident, log, error, said
):
    monkeypatch.setattr(robustness, "LOOKS", 1e-6)  # never again while it runs
    monkeypatch.setattr(robustness, "drained", lambda server, asked: len(asked))
    monkeypatch.setattr(robustness, "mixed", lambda good, alone, count, seed: [ASKED] * count)

    class Asking:
        def once(self, host, asked, clients):
            return load.Report(1.0, 1.0, 1.0, {"image": len(asked)})

    settings = measure.Settings("narrow", "bias", 32, 2, 1, 1, 1, "x")
    raised = contextlib.nullcontext() if error is None else pytest.raises(error, match=said)
    with raised:
        rows = robustness.survive(_Server(resident, log), Asking(), [ASKED], None, 100, 4, settings)
        assert {row.metric: row.value for row in rows} == {
            "requests": 100,
            "malformed": 0,
            "wrong answers": 0,
            "resident memory": 1000,
            "highest resident memory": 5000,
            "growth of resident memory": robustness.GROWTH,
            "answered after SIGTERM": 1,
        }


def test_the_picture_s_bars_are_the_servers_own_rows():
    settings = measure.Settings("narrow", "bias", 32, 2, 1, 1, 1, "x")
    rows = [
        settings.row(settings.setting("serving", "mixed batches", 8), "p50", 4.0, "ms"),
        settings.row(settings.setting("serving", "mixed batches", 32), "p50", 9.0, "ms"),
        settings.row(settings.setting("serving", "peer others", 8), "p50", 1.0, "times"),
        settings.row(settings.setting("robustness", "9 requests", 8), "p50", 1.0, "ms"),
    ]
    assert picture.found(rows, "p50", 2.0) == {
        "8 clients": {"mixed batches": 2.0},
        "32 clients": {"mixed batches": 4.5},
    }


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["x.patch", "--works=thruput"], "Did you mean 'throughput'"),
        (["x.patch", "--clients=none"], "--clients=none must be numbers"),
        ([], "give patch files"),
    ],
)
def test_the_command_refuses_what_nobody_knows_before_measuring(tmp_path, flags, complaint):
    out = tmp_path / "x.csv"
    result = commands.run("launch.benchmark_serving", *flags, f"--out={out}")
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert not out.exists()
