"""Batches form by themselves, keep their order, and end in good order."""

import asyncio
import threading

import pytest

from adapters.serving.batching import Batcher, BusyError, ClosedError


def test_what_waits_shares_a_batch():
    batches, gate = [], threading.Event()

    def answer(items):
        gate.wait(5)
        batches.append(list(items))
        return [item * 10 for item in items]

    async def run():
        batcher = Batcher(answer, most=3, queue=10)
        batcher.start()
        first = asyncio.create_task(batcher.ask(1))
        await asyncio.sleep(0.05)  # the first is being answered alone
        others = [asyncio.create_task(batcher.ask(number)) for number in (2, 3, 4, 5)]
        await asyncio.sleep(0.05)
        assert batcher.waiting == 4
        gate.set()
        found = await asyncio.gather(first, *others)
        await batcher.close()
        return found

    assert asyncio.run(run()) == [10, 20, 30, 40, 50]
    assert batches == [[1], [2, 3, 4], [5]]


def test_a_full_queue_refuses_and_a_closing_one_answers_what_it_has():
    gate = threading.Event()

    def answer(items):
        gate.wait(5)
        return items

    async def run():
        batcher = Batcher(answer, most=1, queue=2)
        batcher.start()
        asked = [asyncio.create_task(batcher.ask("first"))]
        await asyncio.sleep(0.05)
        asked += [asyncio.create_task(batcher.ask(word)) for word in ("second", "third")]
        await asyncio.sleep(0.01)
        with pytest.raises(BusyError, match="2 requests are waiting"):
            await batcher.ask("fourth")
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.01)
        with pytest.raises(ClosedError):
            await batcher.ask("fifth")
        gate.set()
        await closing
        return [task.result() for task in asked]

    assert asyncio.run(run()) == ["first", "second", "third"]


def test_an_error_reaches_all_of_its_batch_and_nobody_else():
    def answer(items):
        if "bad" in items:
            raise ValueError("no")
        return items

    async def run():
        batcher = Batcher(answer, most=1, queue=5)
        batcher.start()
        found = await asyncio.gather(
            *(batcher.ask(word) for word in ("good", "bad", "fine")), return_exceptions=True
        )
        await batcher.close()
        return found

    good, bad, fine = asyncio.run(run())
    assert (good, fine) == ("good", "fine")
    assert isinstance(bad, ValueError)


def test_whoever_hangs_up_takes_no_place_in_a_batch():
    batches, gate = [], threading.Event()

    def answer(items):
        gate.wait(5)
        batches.append(list(items))
        return items

    async def run():
        batcher = Batcher(answer, most=2, queue=5)
        batcher.start()
        first = asyncio.create_task(batcher.ask(1))
        await asyncio.sleep(0.05)
        gone, *others = (asyncio.create_task(batcher.ask(number)) for number in (2, 3, 4))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        assert batcher.waiting == 2
        gate.set()
        await asyncio.gather(first, *others)
        await batcher.close()

    asyncio.run(run())
    assert batches == [[1], [3, 4]]


def test_only_items_of_one_kind_share_a_batch_and_the_oldest_says_of_which():
    batches, gate = [], threading.Event()

    def answer(items):
        gate.wait(5)
        batches.append("".join(items))
        return [item.upper() for item in items]

    async def run():
        batcher = Batcher(answer, most=3, queue=20, kind=str.lower)
        batcher.start()
        first = asyncio.create_task(batcher.ask("x"))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.ask(letter)) for letter in "abAcaBaA"]
        await asyncio.sleep(0.01)
        gate.set()
        found = await asyncio.gather(first, *others)
        await batcher.close()
        return "".join(found)

    assert asyncio.run(run()) == "XABACABAA"
    assert batches == ["x", "aAa", "bB", "c", "aA"]
