"""The load generator's side, for Locust (https://locust.io): asks, and checks every answer.

    locust -f locustfile.py --headless --host=http://127.0.0.1:8080 --users=32 \
        --questions=FOLDER --report=report.json --lasting=10

Each user asks again as soon as it is answered; none begins later than --lasting seconds after all
have begun. Run by `load`, in a Python that has Locust and
need not have this project's packages.
"""

import itertools
import json
import pathlib
import random
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

from locust import FastHttpUser, events, task
from locust.exception import StopUser

from adapters.benchmarking.serving import questions
from adapters.benchmarking.serving.questions import Question

SHOWN = 20  # mistakes in a report
SECONDS = 60  # that a socket may take


class _Run:
    """What is asked next, and what came of it."""

    asked: Iterator[Question]
    users: int
    spawned: float
    lasting: float
    ends: list[float]
    milliseconds: list[float]
    kinds: dict[str, int]
    mistakes: list[str]


@events.init_command_line_parser.add_listener
def _arguments(parser: Any) -> None:
    parser.add_argument("--questions", help="Folder that `questions.write` filled.")
    parser.add_argument("--report", help="JSON file that is written at the end.")
    parser.add_argument("--seed", type=int, default=0, help="Order of the questions.")
    parser.add_argument("--once", action="store_true", help="Ask each once, in their order.")
    parser.add_argument("--lasting", type=float, default=float("inf"), help="Seconds.")


@events.test_start.add_listener
def _start(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    found = questions.read(pathlib.Path(options.questions))
    if not options.once:
        random.Random(options.seed).shuffle(found)
    _Run.asked = iter(found) if options.once else itertools.cycle(found)
    _Run.users, _Run.spawned, _Run.lasting = options.num_users, 0.0, options.lasting
    _Run.ends, _Run.milliseconds, _Run.kinds, _Run.mistakes = [], [], {}, []


@events.spawning_complete.add_listener
def _spawned(**_: Any) -> None:
    _Run.spawned = _Run.spawned or time.perf_counter()


@events.request.add_listener
def _note(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
    _Run.ends.append(time.perf_counter())
    _Run.milliseconds.append(response_time)
    _Run.kinds[name] = _Run.kinds.get(name, 0) + 1
    if exception is not None:
        _Run.mistakes.append(f"{name}: {exception}")


@events.user_error.add_listener
def _note_defect(exception: Exception, **_: Any) -> None:
    _Run.mistakes.append(f"the generator failed: {exception!r}")


@events.quitting.add_listener
def _report(environment: Any, **_: Any) -> None:
    report = {
        "ends": [end - _Run.spawned for end in _Run.ends],
        "milliseconds": _Run.milliseconds,
        "kinds": _Run.kinds,
        "mistaken": len(_Run.mistakes),
        "mistakes": _Run.mistakes[:SHOWN],
    }
    pathlib.Path(environment.parsed_options.report).write_text(json.dumps(report))
    environment.process_exit_code = 0  # the report says what went wrong


class Client(FastHttpUser):
    """One client, with a connection of its own that is kept."""

    @task
    def ask(self) -> None:
        """Asks the next question."""
        question = next(_Run.asked, None)
        late = _Run.spawned and time.perf_counter() - _Run.spawned > _Run.lasting
        if question is None or late:
            _Run.users -= 1
            if not _Run.users:
                self.environment.runner.quit()
            raise StopUser
        if question.raw:
            self._send(question)
            return
        with self.client.request(
            question.method,
            question.path,
            name=question.kind,
            data=question.body,
            headers=dict(question.headers),
            catch_response=True,
        ) as response:
            if response.status_code == 0:  # the connection failed, and Locust says how
                return
            wrong = questions.mistake(question, response.status_code, response.content or b"")
            response.success() if wrong is None else response.failure(wrong)

    def _send(self, question: Question) -> None:
        host, _, port = self.host.rpartition("/")[2].partition(":")
        start, status, content = time.perf_counter(), 0, b""
        exception: Exception | None = None
        try:
            with socket.create_connection((host, int(port)), SECONDS) as connection:
                connection.sendall(question.body)
                if question.statuses:
                    status, content = _response(connection)
        except OSError as error:
            exception = error
        else:
            wrong = questions.mistake(question, status, content) if question.statuses else None
            exception = None if wrong is None else ValueError(wrong)
        self.environment.events.request.fire(
            request_type="RAW",
            name=question.kind,
            response_time=1000 * (time.perf_counter() - start),
            response_length=len(content),
            exception=exception,
            context={},
        )


def _response(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of what a server sends, until the body is whole or the server closes."""
    data = b""
    while part := connection.recv(65536):
        data += part
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if end and length and len(body) >= int(length[1]):
            break
    head, _, body = data.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d+)", head)
    return int(status[1]) if status else 0, body
