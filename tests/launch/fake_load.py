"""A load generator with Locust's flags, for tests: `python -m tests.launch.fake_load FLAGS`."""

import argparse
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import pathlib
import socket
import threading
import time

from adapters.benchmarking.serving import questions


def ask(address, question):
    """Status and body."""
    host, _, port = address.removeprefix("http://").partition(":")
    if question.raw:
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.sendall(question.body)
            if not question.statuses:
                return None
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.read()
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=30)) as connection:
        connection.request(question.method, question.path, question.body, dict(question.headers))
        response = connection.getresponse()
        return response.status, response.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--once", action="store_true")
    for name in ("host", "questions", "report", "users", "lasting"):
        parser.add_argument(f"--{name}")
    options, _ = parser.parse_known_args()
    if options.version:
        return
    found = questions.read(pathlib.Path(options.questions))
    left = iter(found) if options.once else itertools.cycle(found)
    start, lock = time.perf_counter(), threading.Lock()
    end = float("inf") if options.once else start + float(options.lasting)
    report = {"ends": [], "milliseconds": [], "kinds": {}, "mistaken": 0, "mistakes": []}

    def client():
        while time.perf_counter() < end:
            with lock:
                question = next(left, None)
            if question is None:
                return
            begin = time.perf_counter()
            answer = ask(options.host, question)
            wrong = None if answer is None else questions.mistake(question, *answer)
            with lock:
                report["ends"].append(time.perf_counter() - start)
                report["milliseconds"].append(1000 * (time.perf_counter() - begin))
                report["kinds"][question.kind] = report["kinds"].get(question.kind, 0) + 1
                if wrong is not None:
                    report["mistaken"] += 1
                    report["mistakes"].append(wrong)

    with concurrent.futures.ThreadPoolExecutor(int(options.users)) as clients:
        for future in [clients.submit(client) for _ in range(int(options.users))]:
            future.result()
    pathlib.Path(options.report).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
