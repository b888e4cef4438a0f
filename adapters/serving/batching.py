"""Requests gathered into batches: whoever waits for the network shares its next pass."""

import asyncio
import collections
import concurrent.futures
import contextlib
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from adapters.errors import ModelPatchError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BusyError(ModelPatchError):
    """More requests wait than the queue holds."""


class ClosedError(ModelPatchError):
    """The server is shutting down."""


class Batcher(Generic[Item, Answer]):
    """Answers items in batches, in the order they came, in one thread of its own.

    A batch is whatever waits when the network is free, up to `most` items: under load batches fill
    by themselves, and without load nobody waits for company.

    Args:
      answer: of a batch: one answer an item, in their order.
      most: items in a batch.
      queue: items that may wait.
      kind: what the items of a batch must have in common; by default nothing. The one that has
        waited longest then says whose turn it is.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Item]], Sequence[Answer]],
        most: int,
        queue: int,
        kind: Callable[[Item], Hashable] = lambda item: None,
    ):
        self._answer, self._most, self._limit, self._kind = answer, most, queue, kind
        self._waiting: collections.deque[tuple[Item, asyncio.Future[Answer]]] = collections.deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "network")
        self._loop: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet, and that somebody still waits for."""
        return sum(not future.done() for _, future in self._waiting)

    def start(self) -> None:
        """Begins to answer, in the running event loop."""
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def ask(self, item: Item) -> Answer:
        """The answer to one item.

        Raises BusyError, ClosedError, and whatever answering its batch raised.
        """
        if self._closing:
            raise ClosedError("the server is shutting down; ask another one.")
        if self.waiting >= self._limit:
            raise BusyError(f"{self._limit} requests are waiting already; try again later.")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._arrived.set()
        return await future

    async def close(self) -> None:
        """Takes nothing new, answers all that waits, and ends."""
        self._closing = True
        self._arrived.set()
        if self._loop is not None:
            await self._loop
        self._thread.shutdown()

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = self._next()
            if batch:
                await self._answer_all(batch)

    def _next(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """Takes a batch from those who wait; empty when all of them have hung up."""
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        others: list[tuple[Item, asyncio.Future[Answer]]] = []
        while self._waiting and len(batch) < self._most:
            item, future = self._waiting.popleft()
            if future.done():  # whoever hung up needs no answer
                continue
            alike = not batch or self._kind(item) == self._kind(batch[0][0])
            (batch if alike else others).append((item, future))
        self._waiting.extendleft(reversed(others))
        return batch

    async def _answer_all(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        loop = asyncio.get_running_loop()
        items = [item for item, _ in batch]
        try:
            answers = await loop.run_in_executor(self._thread, self._answer, items)
            if len(answers) != len(items):
                raise ValueError(f"{len(answers)} answers to {len(items)} questions")
        except Exception as error:
            for _, future in batch:
                with contextlib.suppress(asyncio.InvalidStateError):
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            with contextlib.suppress(asyncio.InvalidStateError):
                future.set_result(answer)
