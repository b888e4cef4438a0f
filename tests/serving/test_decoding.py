"""Images decoded elsewhere: the same pixels, and nobody waits for long or for nothing."""

import asyncio
import dataclasses
import http.client
import io
import os
import signal
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from adapters import preprocessing as images
from adapters.preprocessing import Preprocessing, UnreadableImageError
from adapters.serving import decoding
from adapters.serving.decoding import PROCESSES, Decoders
from adapters.serving.errors import TooMuchError
from adapters.serving.limits import Limits
from adapters.serving.turns import Turns
from tests import imports
from tests.serving.loopback import LIMITS, ask, served
from tests.serving.questions import OWN, check, figure, pixels_of, png, wait_until

HOW = Preprocessing(8, (1.0, 2.0, 3.0), (1.0, 1.0, 1.0), "pad", (9, 8, 7))
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def file(kind, image=PICTURE, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


LARGE = file("PNG", PICTURE.resize((300, 200)))


def with_scans(count):
    """A progressive JPEG whose last scan comes `count` times more."""
    data = file("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def decoded(*steps, **limits):
    """What each step made of the same decoders: a coroutine function of them."""

    async def run():
        decoders = Decoders(Limits(**limits))
        try:
            return [await step(decoders) for step in steps]
        finally:
            decoders.close()

    return asyncio.run(run())


def of(data):
    async def pixels(decoders):
        found, view = await decoders.decode(data, HOW)
        assert (view.width, view.height) == Image.open(io.BytesIO(data)).size
        return found

    return pixels


async def started(decoders):
    return decoders.started


def test_the_pixels_are_those_of_this_process_and_a_process_is_kept():
    files = [
        file("PNG"),
        file("JPEG", progressive=True),
        file("GIF", PICTURE.quantize(8)),
        file("WEBP", PICTURE.convert("RGBA")),
    ]
    none, *found, one = decoded(started, *map(of, files), started)
    for data, pixels in zip(files, found, strict=True):
        wanted = images.prepare(images.decode(data, HOW.background), HOW)
        np.testing.assert_array_equal(pixels, wanted)
    assert (none, one) == (0, 1)


def test_refusals_are_those_of_this_process():
    async def refused(decoders):
        said = []
        for data in (b"", b"no image", file("PNG")[:200], file("PNG", PICTURE.resize((300, 300)))):
            try:
                await decoders.decode(data, HOW)
            except (TooMuchError, UnreadableImageError) as error:
                said.append((type(error), str(error)))
        return said

    ((empty, plain, cut, large), count) = decoded(refused, started, pixels=80_000)
    none = UnreadableImageError, "it is no image of a kind that can be read."
    assert empty == plain == none
    assert cut[0] is UnreadableImageError
    assert "300 x 300 pixels; 80,000 are allowed" in large[1]
    assert count == 1


def test_a_jpeg_may_have_as_many_scans_as_encoders_make_and_no_more():
    async def refused(decoders):
        with pytest.raises(TooMuchError, match="has 1010 scans; 32 are allowed"):
            await decoders.decode(with_scans(1000), HOW)

    few, _, _ = decoded(of(with_scans(20)), refused, of(file("JPEG", progressive=True)))
    np.testing.assert_array_equal(few, images.prepare(images.decode(with_scans(20)), HOW))


async def stopped(decoders):
    """A process that is there, and then does nothing any more."""
    await decoders.decode(file("PNG"), HOW)
    (process,) = decoders._small._idle
    os.kill(process.pid, signal.SIGSTOP)
    return process


def test_what_takes_too_long_is_ended_and_others_are_answered():
    async def late(decoders):
        process = await stopped(decoders)
        with pytest.raises(TooMuchError, match="takes longer than 1 s"):
            await decoders.decode(file("PNG"), HOW)
        return process.runs

    runs, pixels, count = decoded(late, of(file("PNG")), started, decode_seconds=1.0)
    assert not runs
    assert pixels.shape == (8, 8, 3)
    assert count == 2


def test_what_nobody_waits_for_is_ended():
    async def left(decoders):
        process = await stopped(decoders)
        asked = asyncio.create_task(decoders.decode(file("PNG"), HOW))
        while decoders._small._idle:  # until it is asked
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return process.runs

    runs, pixels = decoded(left, of(file("PNG")), decode_seconds=900)
    assert not runs
    assert pixels.shape == (8, 8, 3)


def test_large_images_take_the_processes_of_small_ones_from_nobody(monkeypatch):
    monkeypatch.setattr(decoding, "SMALL", 50_000)  # pixels

    async def kept_busy(decoders):
        await decoders.decode(LARGE, HOW)
        (process,) = decoders._large._idle
        os.kill(process.pid, signal.SIGSTOP)
        waiting = [asyncio.create_task(decoders.decode(LARGE, HOW, "b")) for _ in range(4)]
        found = await decoders.decode(file("PNG"), HOW, "a")
        done = [one.done() for one in waiting]
        os.kill(process.pid, signal.SIGCONT)
        for one in waiting:
            (late, _), (again, _) = await one, await decoders.decode(LARGE, HOW)
            np.testing.assert_array_equal(late, again)
        return found[0].shape, all(done)

    assert decoded(kept_busy) == [((8, 8, 3), False)]


def test_a_small_image_in_a_large_file_is_none_of_the_small_ones():
    """A header of thousands of parts takes seconds to read."""

    async def asked(decoders):
        data = file("PNG")
        text = b"\0\0\0\3tEXta\0b" + zlib.crc32(b"tEXta\0b").to_bytes(4, "big")
        await decoders.decode(data[:33] + text * 20_000 + data[33:], HOW)
        return decoders._small.started, decoders._large.started

    assert decoded(asked) == [(0, 1)]


def test_whoever_asks_once_waits_for_no_more_than_one_of_another_s():
    """Nor do those who left while they waited keep anybody from a turn."""

    async def served():
        turns, order = Turns(1), []

        async def ask(client):
            async with turns.turn(client):
                order.append(client)
                await asyncio.sleep(0)

        asked = [asyncio.create_task(ask(client)) for client in ("many",) * 6]
        await asyncio.sleep(0)
        asked += [asyncio.create_task(ask(client)) for client in ("one", "other", "many")]
        await asyncio.sleep(0)
        asked[2].cancel()
        await asyncio.wait(asked)
        async with turns.turn("last"):
            return order

    order = asyncio.run(served())
    assert order == ["many", "many", "one", "other", "many", "many", "many", "many"]


def test_a_small_image_that_nobody_waits_for_costs_no_process():
    async def left(decoders):
        await decoders.decode(file("PNG"), HOW)
        for _ in range(5):
            asked = asyncio.create_task(decoders.decode(file("PNG"), HOW))
            while decoders._small._idle:  # until it is asked
                await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        return decoders.started

    assert decoded(left, decode_seconds=900) == [1]


def test_an_image_that_ends_its_process_is_refused_and_a_dead_process_is_replaced():
    async def ended(decoders):
        process = await stopped(decoders)
        asked = asyncio.create_task(decoders.decode(file("PNG"), HOW))
        while decoders._small._idle:
            await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(UnreadableImageError, match="ends the program"):
            await asked

    async def dead(decoders):
        process = await stopped(decoders)
        os.kill(process.pid, signal.SIGKILL)
        process._process.wait()

    *_, pixels, count = decoded(ended, dead, of(file("PNG")), started)
    assert pixels.shape == (8, 8, 3)
    assert count == 3


def test_who_is_nice_yields_to_the_server_and_ctrl_c_reaches_neither(monkeypatch):
    """Linux looks at who is nice within one session alone."""
    monkeypatch.setattr(decoding, "SMALL", 50_000)  # pixels

    async def idle(decoders):
        for data in (file("PNG"), LARGE):
            await decoders.decode(data, HOW)
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        pids = [pool._idle[0].pid for pool in (decoders._small, decoders._large)]
        assert {os.getsid(pid) for pid in pids} == {os.getsid(0)}
        assert os.getpgid(0) not in {os.getpgid(pid) for pid in pids}
        return [os.getpriority(os.PRIO_PROCESS, pid) - ours for pid in pids]

    assert decoded(idle) == [[0, decoding.NICE]]


def test_there_are_never_more_processes_than_that(monkeypatch):
    monkeypatch.setattr(decoding, "SMALL", 50_000)  # pixels

    async def many(decoders):
        both = [file("PNG")] * 4 + [LARGE] * 4
        found = await asyncio.gather(*(decoders.decode(data, HOW) for data in both))
        return len(found), decoders.started

    assert decoded(many) == [(8, PROCESSES)]


def test_a_process_imports_neither_jax_nor_a_server():
    code = "import sys, adapters.serving.decoder; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(imports.ROOT)}
    said = subprocess.check_output([sys.executable, "-P", "-c", code], env=environment, text=True)
    found = {name.partition(".")[0] for name in said.split()}
    assert found.isdisjoint({"jax", "haiku", "starlette", "uvicorn", "h11", "asyncio"})
    assert "PIL" in found


def test_a_file_of_a_thousand_scans_is_refused_in_words(address):
    status, said = ask(address, "POST", "/tasks/a", with_scans(200))
    assert (status, said["error"]) == (413, "TooMuchError")
    check(ask(address, "POST", "/tasks/a", png(pixels_of(0))), OWN["a"], pixels_of(0))


def test_whoever_hangs_up_is_not_decoded(network, monkeypatch):
    asked, given_up = [], []
    hung_up = 'modelpatch_requests_total{status="499"}'

    async def endless(self, data, how, client):
        asked.append(data)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.append(data)
            raise

    monkeypatch.setattr(decoding.Decoders, "decode", endless)
    with served(network, dataclasses.replace(LIMITS, queue=1)) as (address, _):
        for number in range(1, 4):  # none leaves its place taken
            gone = http.client.HTTPConnection(*address[:2])
            gone.request("POST", "/tasks/a", b"%d" % number)
            wait_until(lambda n=number: len(asked) == n)
            gone.close()
            wait_until(lambda n=number: figure(address, hung_up) == n)
    assert given_up == asked == [b"1", b"2", b"3"]
