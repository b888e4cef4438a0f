"""The batches of a run, addressed by task and number, read ahead of their use.

A task's batches are numbered through the run, however many processes share it: each process counts
all groups of every step, and reads its own alone. A checkpoint holds the counts.
"""

import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol

import numpy as np

READ_AHEAD = 4  # steps
_THREADS = max(os.cpu_count() or 1, 2)

Arrays = Mapping[str, np.ndarray]


class Batches(Protocol):
    """A task's endless training batches, the same one for a number whenever it is asked for.

    {"image": [E, H, W, 3] uint8}, and inputs and targets. Asked by several threads at once; where
    worker processes read, it can be pickled (by cloudpickle).
    """

    def __getitem__(self, number: int, /) -> Arrays: ...


class Reader:
    """Reads a process's own groups of every step, some steps ahead of the one that asks.

    What later steps train is foreseen, not known: a sampler may yet be moved by what earlier ones
    give. A step that was foreseen wrongly waits for its batches and is right all the same.

    Attributes:
      own: which groups of a step this process trains.
      taken: [T], how many batches of each task the steps so far had, of all processes.
    """

    def __init__(
        self, batches: Sequence[Batches], own: Sequence[int], steps: int, workers: int = 0
    ):
        """Starts at step 0, reading nothing yet.

        Args:
          batches: of each task.
          own: which groups of a step this process trains.
          steps: of the run; nothing is read for later ones.
          workers: processes that decode; 0: threads.
        """
        self.taken = np.zeros(len(batches), np.int64)
        self.own, self._steps = own, steps
        self._foreseen: collections.deque[np.ndarray] = collections.deque()
        self._parts: collections.deque[list[concurrent.futures.Future[Arrays]]]
        self._parts = collections.deque()
        self._reached = self.taken.copy()  # as `taken`, after what is foreseen
        self._known: dict[tuple[int, int], concurrent.futures.Future[Arrays]] = {}
        self._submit, self._pool = _pool(batches, workers)

    def go_on(self, taken: Sequence[int]) -> None:
        """Goes on where a run had taken so many batches of each task."""
        self.taken = np.asarray(taken, np.int64)
        self._forget()

    def read(
        self, step: int, tasks: np.ndarray, following: Callable[[int], np.ndarray]
    ) -> list[Arrays]:
        """The batches of this process's groups of one step, in order.

        Args:
          step: its number; it grows by one from call to call.
          tasks: [G] the task of each group, of all processes.
          following: gives those of a later step, as far as can be foreseen.
        """
        if self._foreseen and not np.array_equal(self._foreseen[0], tasks):
            self._forget()
        if not self._foreseen:
            self._foresee(tasks)
        while len(self._foreseen) <= READ_AHEAD and step + len(self._foreseen) < self._steps:
            self._foresee(following(step + len(self._foreseen)))
        self.taken = self.taken + np.bincount(tasks, minlength=len(self.taken))
        self._foreseen.popleft()
        parts = self._parts.popleft()
        needed = {id(part) for parts in (parts, *self._parts) for part in parts}
        for place, part in list(self._known.items()):
            if id(part) not in needed:
                part.cancel()
                del self._known[place]
        return [part.result() for part in parts]

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _foresee(self, tasks: np.ndarray) -> None:
        parts = []
        for group, task in enumerate(map(int, tasks)):
            place = (task, int(self._reached[task]))
            self._reached[task] += 1
            if group in self.own:
                if place not in self._known:
                    self._known[place] = self._submit(*place)
                parts.append(self._known[place])
        self._foreseen.append(tasks)
        self._parts.append(parts)

    def _forget(self) -> None:
        self._foreseen.clear()
        self._parts.clear()
        self._reached = self.taken.copy()


def in_order(batches: Batches) -> Iterator[Arrays]:
    """All of a task's batches from the first one on, read ahead in threads."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS, "read") as threads:
        ahead: collections.deque[concurrent.futures.Future[Arrays]] = collections.deque()
        for number in itertools.count():
            ahead.append(threads.submit(batches.__getitem__, number))
            if number >= READ_AHEAD:
                yield ahead.popleft().result()


def _pool(
    batches: Sequence[Batches], workers: int
) -> tuple[Callable[..., concurrent.futures.Future[Arrays]], concurrent.futures.Executor]:
    """A function of (task, number) that begins to read, and who does it."""
    if not workers:
        threads = concurrent.futures.ThreadPoolExecutor(_THREADS, "read")
        return lambda task, number: threads.submit(lambda: batches[task][number]), threads
    import cloudpickle  # here, for runs without; Grain's batches cannot be pickled by pickle alone

    processes = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _begin, (cloudpickle.dumps(list(batches)),)
    )
    return lambda task, number: processes.submit(_read, task, number), processes


_BATCHES: list[Batches] = []  # of a worker process


def _begin(pickled: bytes) -> None:
    """Makes a worker process ready: it ends with its parent alone, whatever signals reach both."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _BATCHES[:] = pickle.loads(pickled)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _read(task: int, number: int) -> dict[str, np.ndarray]:
    return dict(_BATCHES[task][number])
