"""A server in a process of its own, on this machine's loopback."""

import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from adapters.benchmarking.interleave import ROOT
from adapters.errors import ModelPatchError
from adapters.experiment.serving import TOKEN_VARIABLE

STARTED = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
PAUSE = 0.1  # seconds between two looks
PAGE = os.sysconf("SC_PAGE_SIZE")
TOKEN = "the-token-of-a-benchmark"  # for changes
FAILED = "a request failed"  # what a server logs beside the error


class ServerError(ModelPatchError):
    """A server does not start, or has ended, or does not end."""


class Server:
    """A server that listens; it is killed at the end of a `with` block if it still runs.

    Args:
      module: run as `python -m module`; says on standard error where it listens.
      arguments: of it.
      seconds: that it may take to start.

    Raises ServerError.
    """

    def __init__(self, module: str, arguments: Sequence[str], seconds: float = 300):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": path, TOKEN_VARIABLE: TOKEN},
        )
        end = time.monotonic() + seconds
        while not (found := STARTED.search(self.log())):
            if self._process.poll() is not None or time.monotonic() > end:
                self._end()
                raise ServerError(f"{module} does not start: {self.log()[-2000:]}")
            time.sleep(PAUSE)
        self.port = int(found[1])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._log.close()

    @property
    def host(self) -> str:
        """Its address, for a client."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """All that it has said so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def resident(self) -> int:
        """Bytes of it in memory. Raises ServerError if it has ended."""
        if self._process.poll() is not None:
            raise ServerError(f"the server has ended: {self.log()[-2000:]}")
        return PAGE * int(pathlib.Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])

    def figures(self) -> dict[str, float]:
        """What it counts, from /metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def terminate(self) -> None:
        """Asks it to end, by SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait_until_closed(self, seconds: float) -> None:
        """Waits until it takes no new connections. Raises ServerError if it goes on to."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), seconds).close()
            except ConnectionRefusedError:
                return
            time.sleep(PAUSE)
        raise ServerError(f"the server takes new connections {seconds:g} s after SIGTERM.")

    def wait(self, seconds: float) -> None:
        """Waits for its end. Raises ServerError unless it ends by itself or by SIGTERM."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerError(f"the server still runs {seconds:g} s after SIGTERM.") from None
        if status not in (0, -signal.SIGTERM):
            raise ServerError(f"the server ended with status {status}: {self.log()[-2000:]}")

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
