"""Images decoded in a few processes that can be killed: when one takes too long, or for nobody.

A thread cannot be stopped, and a file of kilobytes may take a decoder minutes.
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
from adapters.view import View

PROCESSES = 4  # each takes a large image's memory; fewer leave cores idle between two images
_ERRORS = {kind.__name__: kind for kind in (TooMuchError, UnreadableImageError)}


class Decoders:
    """Processes that decode images: none until one is needed, and then `PROCESSES` at most.

    Attributes:
      started: processes, so far.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._turns = asyncio.Semaphore(PROCESSES)
        self._all: set[_Process] = set()
        self._idle: list[_Process] = []
        self.started = 0

    async def decode(self, data: bytes, how: Preprocessing) -> tuple[Array, View]:
        """The pixels [size, size, 3] uint8 of an image file, and what they show of it.

        Whoever cancels it, or lets it take longer than the limit, kills the process.

        Raises TooMuchError or UnreadableImageError.
        """
        async with self._turns:
            process = await self._free()
            try:
                async with asyncio.timeout(self._limits.decode_seconds):
                    said, found = await process.ask(data, how, self._limits)
            except TimeoutError:
                self._end(process)
                raise TooMuchError(
                    f"the image takes longer than {self._limits.decode_seconds:g} s to decode: "
                    "scale it down, or save it as a JPEG that is not progressive."
                ) from None
            except (OSError, EOFError) as error:
                self._end(process)
                raise UnreadableImageError(
                    "the image ends the program that decodes it: save it anew."
                ) from error
            except BaseException:
                self._end(process)
                raise
            self._idle.append(process)
        if "error" in said:
            raise _ERRORS[said["error"]](said["message"])
        pixels = np.frombuffer(found, np.uint8).reshape(how.size, how.size, 3)
        width, height = said["sides"]
        return pixels, view_of(width, height, how)

    def close(self) -> None:
        """Ends all processes."""
        for process in [*self._all]:
            self._end(process)
        self._idle.clear()

    async def _free(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if process.runs:
                return process
            self._end(process)
        process = _Process()
        self.started += 1
        self._all.add(process)
        try:
            await process.connect()
        except BaseException:
            self._end(process)
            raise
        return process

    def _end(self, process: "_Process") -> None:
        self._all.discard(process)
        process.kill()


class _Process:
    def __init__(self) -> None:
        folder = str(pathlib.Path(adapters.__path__[0]).parent)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        self._ours, theirs = socket.socketpair()
        self._writer: asyncio.StreamWriter | None = None
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", decoder.__name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which answers those who wait
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._ours)
        await self._reader.readexactly(len(decoder.READY))

    async def ask(
        self, data: bytes, how: Preprocessing, limits: Limits
    ) -> tuple[dict[str, Any], bytes]:
        """What it says, and the bytes of pixels. Raises OSError or EOFError if it ends."""
        assert self._writer is not None
        asked = {
            "bytes": len(data),
            "how": how.to_json(),
            "pixels": limits.pixels,
            "scans": limits.scans,
        }
        self._writer.write(json.dumps(asked).encode() + b"\n")
        self._writer.write(data)
        await self._writer.drain()
        said = json.loads(await self._reader.readuntil())
        return said, await self._reader.readexactly(said["bytes"])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._writer is None:
            self._ours.close()
        else:
            self._writer.transport.abort()
