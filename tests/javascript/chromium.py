"""Web pages served from a folder, in Debian's Chromium without a window."""

import contextlib
import functools
import http.server
import importlib.util
import json
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import imports

BROWSER = imports.ROOT / "javascript" / "browser"
REFUSED = "document.querySelector('#refused').innerText"
PATIENCE = 60  # seconds, on a busy machine
DRIVER, RUNTIME = "playwright-core", "onnxruntime-web"


def skip_without_chromium(*packages: str) -> None:
    """Skips a test where there is no Chromium, nothing to drive it by, or no such npm package."""
    if shutil.which("node") is None or shutil.which("chromium") is None:
        pytest.skip("needs node and chromium")
    if not all((BROWSER / "node_modules" / name).exists() for name in (DRIVER, *packages)):
        pytest.skip("needs `npm ci --prefix javascript/browser`")


def skip_unless_here() -> None:
    """Skips a test where there is no Chromium, or nothing to drive it by or to run in it."""
    skip_without_chromium(RUNTIME)
    if not importlib.util.find_spec("onnx") or not importlib.util.find_spec("onnxruntime"):
        pytest.skip("not installed: onnx or onnxruntime; `launch/test` installs what is missing")


class ScriptError(Exception):
    """A method of the page failed, or its script threw."""


class Chromium:
    """A page; its methods are Playwright's, of the same names."""

    def __init__(self, process: subprocess.Popen[str], address: str, asked: list[str]):
        self.address = address
        self.asked = asked  # addresses that the server was asked for
        self._process = process

    def call(self, method: str, *arguments: object) -> Any:
        """What the method of Playwright's page returns, if that is a value. Raises ScriptError."""
        request = json.dumps({"method": method, "arguments": arguments})
        print(request, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the browser is gone"
        answer = json.loads(line)
        if "error" in answer:
            raise ScriptError(answer["error"])
        return answer["value"]

    def evaluate(self, function: str, argument: object = None) -> Any:
        """What a JavaScript function returns for an argument, in the page."""
        return self.call("evaluate", f"({function})({json.dumps(argument)})")

    def open(self, folder: str) -> None:
        """Opens the page in a folder of what is served, and waits until it answers or refuses."""
        self.asked.clear()
        self.call("goto", f"{self.address}{folder}/")
        self.wait("document.querySelector('#said').innerText || " + REFUSED)

    def wait(self, condition: str) -> None:
        """Waits until a JavaScript expression is true in the page."""
        # Not by Playwright's `waitForFunction`, which the page's content security policy stops.
        end = time.monotonic() + PATIENCE
        while not self.evaluate(f"() => Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} is not so: {self.text('body')}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        return self.evaluate("(s) => document.querySelector(s).innerText", selector)


@contextlib.contextmanager
def opened(root: pathlib.Path, *flags: str) -> Iterator[Chromium]:
    """Serves a folder, and gives a Chromium, started with flags, in which nothing is open yet."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

        def end_headers(self) -> None:
            self.send_header("Cache-Control", "no-store")  # so that `asked` misses no second time
            super().end_headers()

        def copyfile(self, *given: Any) -> None:
            with contextlib.suppress(ConnectionError):  # of a browser that has been closed
                super().copyfile(*given)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=root)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = ["node", pathlib.Path(__file__).with_name("drive.mjs"), shutil.which("chromium")]
    process = subprocess.Popen(
        [*command, *flags], cwd=BROWSER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Chromium(process, f"http://localhost:{server.server_port}/", asked)
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
        server.shutdown()
        server.server_close()
