"""Clients that a server should not suffer from: slow ones by the thousand, and senders of images.

    python -m adapters.benchmarking.serving.attackers PORT PATH SLOW SENDERS

They come from addresses of the loopback of their own, `SLOW_AT` and `IMAGES_AT`, and go on until
standard input ends. It prints a line once they are there, and at the end, as JSON, what came of
them.

Slow ones say nothing, or a head or a body drop by drop; whoever is closed comes again a second
later. Senders post images that take as long to decode as the limits let them, one after another;
every other one hangs up soon.
"""

import asyncio
import collections
import io
import itertools
import json
import os
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

from PIL import Image

from adapters.serving.limits import Limits

SLOW_AT, IMAGES_AT = "127.0.1.{}", "127.0.2.{}"
EACH = 100  # slow clients of one address
LOOKS = 0.05  # seconds between two looks at whether all of them are there
DROPS = 1.0  # seconds between two bytes, and until who was closed comes again
PATIENCE = 0.2  # seconds until a sender hangs up, if it does
SCANS = Limits().scans
SIDES = (7_000, 2_000, 600)  # of images, in pixels; the first has the most that are allowed
_BODY = b"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


async def attack(port: int, path: str, slow: int, senders: int) -> dict[str, int]:
    """Goes on until standard input ends; counts of what came of it."""
    counts: collections.Counter[str] = collections.Counter()
    heads = [b"", b"POST ", _BODY.replace(b"{path}", path.encode())]
    clients: list[Coroutine[Any, Any, None]] = [
        _slow(port, SLOW_AT.format(1 + number // EACH), head, counts)
        for number, head in zip(range(slow), itertools.cycle(heads), strict=False)
    ]
    bodies = [with_scans(side) for side in SIDES] if senders else []
    clients += [
        send(
            port,
            IMAGES_AT.format(1 + number),
            path,
            itertools.cycle(bodies),
            number % 2 == 1,
            counts,
        )
        for number in range(senders)
    ]
    tasks = [asyncio.ensure_future(client) for client in clients]
    while counts["opened"] + counts["not let in"] < slow:
        await asyncio.sleep(LOOKS)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return dict(counts)


async def send(
    port: int,
    address: str,
    path: str,
    bodies: Iterator[bytes],
    waits: bool,
    counts: collections.Counter[str],
) -> None:
    """Posts images one after another, and counts what comes back.

    Args:
      port: of the server.
      address: that the client has.
      path: of the requests.
      bodies: images.
      waits: whether it waits for answers, or hangs up.
      counts: what came of them.
    """
    for body in bodies:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(address, 0)
            )
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            try:
                async with asyncio.timeout(None if waits else PATIENCE):
                    said = await reader.readuntil(b"\r\n")
                counts[said.split()[1].decode()] += 1
            except TimeoutError:
                counts["hung up"] += 1
            finally:
                writer.close()
        except (OSError, EOFError):
            counts["cut off"] += 1
            await asyncio.sleep(DROPS)


def with_scans(side: int) -> bytes:
    """A progressive JPEG of `side` pixels a side, with as many scans as a server allows."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 150)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (SCANS - data.count(b"\xff\xda")) + data[-2:]


async def _slow(port: int, address: str, head: bytes, counts: collections.Counter[str]) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(address, 0)
            )
            counts["opened"] += 1
            closed = asyncio.ensure_future(reader.read())
            try:
                writer.write(head)
                while not closed.done():
                    await asyncio.wait([closed], timeout=DROPS)
                    if head:
                        writer.write(b"x")
            finally:
                closed.cancel()
                writer.close()
            counts["closed"] += 1
        except OSError:
            counts["not let in"] += 1
        await asyncio.sleep(DROPS)


if __name__ == "__main__":
    os.nice(15)  # other machines would not use this one's cores
    port, path, slow, senders = sys.argv[1:]
    print(json.dumps(asyncio.run(attack(int(port), path, int(slow), int(senders)))))
