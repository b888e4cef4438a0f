"""One side of a benchmark: a process that runs a case once whenever it is asked.

Requests and replies are JSON, one a line, on standard input and output:

    <- {"name": "PyTorch 2.13.0", "device": "cpu"}      once, or {"missing": why}
    -> {"do": "prepare", "case": {...}}                 <- {"facts": {...}}, or {"error": why}
    -> {"do": "time", "case": {...}}                    <- {"seconds": 0.0731}
    -> {"do": "forget", "case": {...}}                  <- {}

Only the standard library: a peer's Python need not have this project installed.
"""

import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TextIO

from adapters.benchmarking.cases import Case


class Prepared(NamedTuple):
    """A case that is built.

    Attributes:
      run: does the work once, and returns when it is done; the first time may compile.
      facts: what is known of the case after the first run: {name: number}.
    """

    run: Callable[[], object]
    facts: Callable[[], Mapping[str, float]] = dict


def serve(name: str, prepare: Callable[[Case], Prepared], device: str = "cpu") -> None:
    """Announces itself and answers requests until standard input ends.

    Args:
      name: of this side.
      prepare: builds a case.
      device: what does the work.
    """
    replies = own_output()
    ready: dict[Case, Prepared] = {}
    _reply(replies, {"name": name, "device": device})
    for line in sys.stdin:
        request = json.loads(line)
        case = Case(**request["case"])
        try:
            _reply(replies, _answer(request["do"], case, ready, prepare))
        except Exception as error:
            traceback.print_exc()
            _reply(replies, {"error": f"{type(error).__name__}: {error}"})


def announce_missing(why: str) -> None:
    """Says that this Python cannot run its side."""
    _reply(sys.stdout, {"missing": why})


def seconds_of(run: Callable[[], object]) -> float:
    """Seconds of one run, after another that is not timed: the other side had the caches before."""
    run()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _answer(
    action: str,
    case: Case,
    ready: dict[Case, Prepared],
    prepare: Callable[[Case], Prepared],
) -> dict[str, Any]:
    if action == "prepare":
        start = time.perf_counter()
        prepared = prepare(case)
        prepared.run()
        seconds = time.perf_counter() - start
        ready[case] = prepared
        return {"facts": {"first run": seconds, **prepared.facts()}}
    if action == "time":
        return {"seconds": seconds_of(ready[case].run)}
    if action == "forget":
        del ready[case]
        return {}
    raise ValueError(f"no action is called {action!r}")


def own_output() -> TextIO:
    """Standard output for replies alone; what libraries print goes to standard error."""
    sys.stdout.flush()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _reply(replies: TextIO, message: Mapping[str, Any]) -> None:
    print(json.dumps(message), file=replies, flush=True)


def request(action: str, case: Case) -> str:
    """The line that asks a worker for `action` on `case`."""
    return json.dumps({"do": action, "case": dataclasses.asdict(case)}) + "\n"
