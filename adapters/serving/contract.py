"""What a server's application is made of: a network, and a queue before it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from adapters.serving.network import Array, Example, Task

Predictions = dict[str, Array]
Answer = Callable[[Sequence[Example]], Sequence[Predictions | None]]


class Network(Protocol):
    """What answers for tasks: a `MixedNetwork`, or what it is compared with.

    Attributes:
      capacity: tasks that fit.
      batches: numbers of images that it may be asked for at once.
    """

    @property
    def capacity(self) -> int: ...

    @property
    def batches(self) -> Sequence[int]: ...

    @property
    def tasks(self) -> Mapping[str, Task]: ...

    def task(self, name: str) -> Task: ...

    def predictions(self, examples: Sequence[Example]) -> Sequence[Predictions | None]: ...


class Queue(Protocol):
    """What gathers examples into the network's batches: a `Batcher`, or several."""

    @property
    def waiting(self) -> int: ...

    def start(self) -> None: ...

    async def ask(self, item: Example) -> Predictions | None: ...

    async def close(self) -> None: ...
