"""Images decoded in a few processes that can be killed: when one takes too long, or for nobody.

A thread cannot be stopped, and a file of kilobytes may take a decoder minutes. So that such files
keep nobody else waiting, half of the processes decode what takes little work, as images' headers
say; a larger image moves on to the other half. In both, clients take turns.
"""

import asyncio
import json
import os
import pathlib
import socket
import subprocess
import sys
from typing import Any

import numpy as np

import adapters
from adapters.preprocessing import Preprocessing, UnreadableImageError, view_of
from adapters.serving import decoder
from adapters.serving.errors import TooMuchError
from adapters.serving.limits import Limits
from adapters.serving.network import Array
from adapters.serving.turns import Turns
from adapters.view import View

PROCESSES = 4  # half of them for large images; fewer leave cores idle between two images
SMALL = 1 << 22  # pixels that are decoded among small images: tens of milliseconds
FEW = 1 << 18  # bytes of a small image: a header, too, can be long, and says nothing before its end
NICE = 19  # of large images: the server and small ones go first
GRACE = 0.5  # seconds that a small image may go on for nobody: sooner than a process starts
Said = tuple[dict[str, Any], bytes]  # an error or none, and the bytes of pixels
_ERRORS = {kind.__name__: kind for kind in (TooMuchError, UnreadableImageError)}


class Decoders:
    """Processes that decode images: none until one is needed, and then `PROCESSES` at most.

    Attributes:
      started: processes, so far.
    """

    def __init__(self, limits: Limits):
        self._small = _Pool(PROCESSES // 2, limits, SMALL, GRACE, 0)
        self._large = _Pool(PROCESSES // 2, limits, None, 0.0, NICE)

    @property
    def started(self) -> int:
        return self._small.started + self._large.started

    async def decode(self, data: bytes, how: Preprocessing, client: str = "") -> tuple[Array, View]:
        """The pixels [size, size, 3] uint8 of an image file, and what they show of it.

        Whoever cancels it, or lets it take longer than the limit, kills the process.

        Args:
          data: of the file.
          how: it becomes pixels.
          client: who asks: clients take turns.

        Raises TooMuchError or UnreadableImageError.
        """
        said, found = await (self._small if len(data) <= FEW else self._large).ask(
            data, how, client
        )
        if said.get("error") == decoder.LaterError.__name__:
            said, found = await self._large.ask(data, how, client)
        if "error" in said:
            raise _ERRORS[said["error"]](said["message"])
        pixels = np.frombuffer(found, np.uint8).reshape(how.size, how.size, 3)
        width, height = said["sides"]
        return pixels, view_of(width, height, how)

    def close(self) -> None:
        """Ends all processes."""
        self._small.close()
        self._large.close()


class _Pool:
    """Processes for images of a kind.

    Args:
      count: processes.
      limits: of an image.
      work: pixels of an image, each as often as it is gone over, that are decoded here.
      grace: seconds that one may go on for nobody before its process is killed.
      nice: how much less urgent than the server they are, as in `nice`.
    """

    def __init__(self, count: int, limits: Limits, work: int | None, grace: float, nice: int):
        self._limits, self._work, self._grace, self._nice = limits, work, grace, nice
        self._turns = Turns(count)
        self._all: set[_Process] = set()
        self._idle: list[_Process] = []
        self.started = 0

    async def ask(self, data: bytes, how: Preprocessing, client: str) -> Said:
        """What a process says of an image. Raises TooMuchError, UnreadableImageError."""
        async with self._turns.turn(client):
            process = await self._free()
            answer = asyncio.ensure_future(process.ask(data, how, self._limits, self._work))
            try:
                async with asyncio.timeout(self._limits.decode_seconds):
                    return await asyncio.shield(answer)
            except TimeoutError:
                raise TooMuchError(
                    f"the image takes longer than {self._limits.decode_seconds:g} s to decode: "
                    "scale it down, or save it as a JPEG that is not progressive."
                ) from None
            except (OSError, EOFError) as error:
                raise UnreadableImageError(
                    "the image ends the program that decodes it: save it anew."
                ) from error
            except asyncio.CancelledError:
                await asyncio.wait([answer], timeout=self._grace)
                raise
            finally:
                if answer.done() and not answer.cancelled() and answer.exception() is None:
                    self._idle.append(process)
                else:
                    answer.cancel()
                    await self._end(process)

    def close(self) -> None:
        """Ends all processes."""
        for process in self._all:
            process.kill()
            process.wait()
        self._all.clear()
        self._idle.clear()

    async def _free(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if process.runs:
                return process
            await self._end(process)
        process = _Process(self._nice)
        self.started += 1
        self._all.add(process)
        try:
            await process.connect()
        except BaseException:
            await self._end(process)
            raise
        return process

    async def _end(self, process: "_Process") -> None:
        self._all.discard(process)
        process.kill()
        # What it takes to free a large image's memory, nobody else has to wait.
        await asyncio.to_thread(process.wait)


class _Process:
    def __init__(self, nice: int) -> None:
        folder = str(pathlib.Path(adapters.__path__[0]).parent)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        self._ours, theirs = socket.socketpair()
        self._writer: asyncio.StreamWriter | None = None
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", decoder.__name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # Ctrl-C is for the server, which answers those who wait. A session of its own would
                # keep it away, too, but Linux shares time out between sessions before it looks at
                # who is nice in them (autogroups).
                process_group=0,
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            )
        urgency = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, self.pid, urgency + nice)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._ours)
        await self._reader.readexactly(len(decoder.READY))

    async def ask(self, data: bytes, how: Preprocessing, limits: Limits, work: int | None) -> Said:
        """What it says. Raises OSError or EOFError if it ends."""
        assert self._writer is not None
        asked = {
            "bytes": len(data),
            "how": how.to_json(),
            "pixels": limits.pixels,
            "scans": limits.scans,
            "work": work,
        }
        self._writer.write(json.dumps(asked).encode() + b"\n")
        self._writer.write(data)
        await self._writer.drain()
        said = json.loads(await self._reader.readuntil())
        return said, await self._reader.readexactly(said["bytes"])

    def kill(self) -> None:
        """Ends it; `wait` returns once it has ended."""
        self._process.kill()
        if self._writer is None:
            self._ours.close()
        else:
            self._writer.transport.abort()

    def wait(self) -> None:
        self._process.wait()
