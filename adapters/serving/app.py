"""The HTTP side of a server.

| request | answers |
|---|---|
| `POST /tasks/NAME`, an image file as body | what the task's head says of it, label by label |
| `POST /tasks/NAME?top=3` | so many labels |
| the same with `Accept: image/png` | of a head that tells pixels: an indexed PNG |
| `POST /tasks/NAME?place=0.1,0.2,0.3` | the same, of a patch that reads `place` beside the image |
| `POST /tasks/NAME`, a form | the same: the image is its one file, `top` and `place` fields |
| `GET /tasks` | what is installed |
| `PUT /tasks/NAME`, a patch file | installs or replaces it; `Patch-Signature` signs it |
| `DELETE /tasks/NAME` | removes it |
| `GET /health` | 200 while it answers |
| `GET /metrics` | figures for Prometheus |

`Access` says who may ask, and who may change what is served: nobody, by default. A refusal is JSON:
`{"error": the kind, "message": what was wrong and what to do}`.
"""

import asyncio
import collections
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from absl import logging
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.errors import ModelPatchError
from adapters.heads.contract import NoAnswerError
from adapters.preprocessing import normalise
from adapters.serving import refusals
from adapters.serving.access import Access
from adapters.serving.answers import answered
from adapters.serving.batching import Batcher, BusyError
from adapters.serving.bodies import Bodies
from adapters.serving.clients import client_of
from adapters.serving.contract import Answer, Network, Predictions, Queue
from adapters.serving.decoding import Decoders
from adapters.serving.errors import FormError
from adapters.serving.inputs import read_inputs, read_top
from adapters.serving.installing import Installer
from adapters.serving.limits import Limits
from adapters.serving.metrics import CONTENT_TYPE, Metrics
from adapters.serving.network import Example, Task
from adapters.view import View

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

SIGNATURE = "Patch-Signature"  # the header that holds the line of a patch's signature file
HUNG_UP = 499  # nobody reads it; a count of those who did not wait


def by_size(answer: Answer, most: int, queue: int) -> Queue:
    """A queue whose batches hold images of one size, of whichever tasks."""
    return Batcher(answer, most, queue, lambda example: example.size)


def application(
    network: Network,
    installer: Installer,
    limits: Limits,
    access: Access = Access(),  # noqa: B008, it is frozen
    queue: Callable[[Answer, int, int], Queue] = by_size,
) -> Starlette:
    """The server's application, for any ASGI server.

    Args:
      network: compiled; tasks may be installed already.
      installer: what adds and removes them while it runs.
      limits: what it takes.
      access: whom it listens to, and who may change it: by default nobody.
      queue: makes what gathers requests, from what answers them, the most at once, and how many may
        wait. By default all tasks of one size of images share a batch.
    """
    server = _Server(network, installer, limits, access, queue)
    routes = [
        ("/tasks/{name}", server.classify, "POST"),
        ("/tasks/{name}", server.install, "PUT"),
        ("/tasks/{name}", server.remove, "DELETE"),
        ("/tasks", server.list_tasks, "GET"),
        ("/health", server.health, "GET"),
        ("/metrics", server.figures, "GET"),
    ]
    pages = Middleware(
        CORSMiddleware,
        allow_origins=sorted(access.origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type"],
    )
    found = Starlette(
        middleware=[pages] if access.origins else [],
        routes=[
            Route(path, server.guarded(handler), methods=[method])
            for path, handler, method in routes
        ],
        exception_handlers={HTTPException: refusals.not_there},
        lifespan=server.lifespan,
    )
    found.router.redirect_slashes = False  # it would repeat the name that a client says we have
    return found


class _Server:
    def __init__(
        self,
        network: Network,
        installer: Installer,
        limits: Limits,
        access: Access,
        queue: Callable[[Answer, int, int], Queue],
    ):
        self._network, self._installer, self._limits = network, installer, limits
        self._access = access
        self._metrics = Metrics()
        self._queue = queue(self._answer, max(network.batches), limits.queue)
        self._changing = asyncio.Lock()  # never held while a client is waited for
        self._bodies = Bodies(limits)
        self._decoders = Decoders(limits)
        # Images that are decoded or wait for the network, by client.
        self._present: collections.Counter[str] = collections.Counter()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._queue.start()
        # A full collection would go over all that is there by now, which stays until the end, while
        # every client waits; connections that come and go bring one on every few seconds.
        gc.freeze()
        yield
        gc.unfreeze()
        await self._queue.close()
        self._decoders.close()

    def guarded(self, handler: Handler) -> Handler:
        """`handler`, whose errors become answers, and which is counted."""

        async def answer(request: Request) -> Response:
            start = time.perf_counter()
            try:
                self._access.check(request)
                response = await handler(request)
            except ModelPatchError as error:
                response = refusals.refused(error)
            except ClientDisconnect:
                response = Response(status_code=HUNG_UP)
            except Exception:
                logging.exception("a request failed")
                response = refusals.failed()
            self._metrics.requests.labels(str(response.status_code)).inc()
            self._metrics.seconds.observe(time.perf_counter() - start)
            return response

        return answer

    async def classify(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._network.task(name)
        # Whoever has not sent all of an image yet takes nobody's place in the queue.
        async with self._bodies.read(request, self._limits.image_bytes) as sent:
            client = client_of(request.client)
            with self._place(client):
                given = [*request.query_params.multi_items(), *sent.fields.items()]
                top, inputs = read_top(given, self._limits)
                asked = self._predictions(name, sent.file, inputs, client)
                try:
                    async with asyncio.timeout(self._limits.answer_seconds):
                        task, predictions, view = await _while_there(request, asked)
                except TimeoutError:
                    raise BusyError("others' images took all the time; try again later.") from None
        try:
            answer = await asyncio.to_thread(
                answered, task, predictions, view, request.headers.get("accept"), top
            )
        except NoAnswerError as error:
            raise NoAnswerError(f"{name}: {error}") from error
        if name in self._network.tasks:  # not a label of one that has gone meanwhile
            self._metrics.answers.labels(name).inc()
        return answer

    @contextlib.contextmanager
    def _place(self, client: str) -> Iterator[None]:
        """A place among those who wait. Raises BusyError."""
        most = self._limits.queue
        if self._present.total() >= most or self._present[client] >= (most + 1) // 2:
            waiting = self._present.total()
            raise BusyError(f"{waiting} images are waiting already; try again later.")
        self._present[client] += 1
        try:
            yield
        finally:
            self._present[client] -= 1
            self._present += collections.Counter()  # without those who have none

    async def _predictions(
        self, name: str, data: bytes, given: Sequence[tuple[str, str]], client: str
    ) -> tuple[Task, Predictions, View]:
        while True:
            task = self._network.task(name)
            inputs = read_inputs(given, task)
            pixels, view = await self._decoders.decode(data, task.preprocessing, client)
            image = normalise(pixels, task.preprocessing)
            predictions = await self._queue.ask(Example(task, image, inputs))
            if predictions is not None:
                return task, predictions, view
            # The task was replaced meanwhile: ask the new one.

    async def install(self, request: Request) -> Response:
        self._access.check_change(request)
        name = request.path_params["name"]
        async with self._bodies.read(request, self._limits.patch_bytes) as sent:
            if sent.fields:
                raise FormError(f"nothing here reads {', '.join(sent.fields)}: send a file alone.")
            line = request.headers.get(SIGNATURE)
            signature = None if line is None else f"{line}\n".encode("latin-1")
            async with self._changing:
                contents = await asyncio.to_thread(
                    self._installer.install, name, sent.file, signature
                )
        self._metrics.tasks.set(len(self._network.tasks))
        return JSONResponse({"task": name, "version": contents.task_version})

    async def remove(self, request: Request) -> Response:
        self._access.check_change(request)
        name = request.path_params["name"]
        async with self._changing:
            await asyncio.to_thread(self._installer.remove, name)
        with contextlib.suppress(KeyError):
            self._metrics.answers.remove(name)
        self._metrics.tasks.set(len(self._network.tasks))
        return Response(status_code=204)

    async def list_tasks(self, _: Request) -> Response:
        tasks = [
            {
                "task": name,
                "version": task.contents.task_version,
                "patch": task.contents.patch,
                "head": task.contents.head_kind,
                "inputs": {name: list(shape) for name, shape in task.contents.inputs.items()},
                "words": {name: sorted(own) for name, own in task.contents.words.items()},
                "labels": list(task.contents.labels),
                "metric": task.contents.metric,
                "scores": dict(task.contents.scores),
            }
            for name, task in sorted(self._network.tasks.items())
        ]
        return JSONResponse({"capacity": self._network.capacity, "tasks": tasks})

    async def health(self, _: Request) -> Response:
        return Response(status_code=200)

    async def figures(self, _: Request) -> Response:
        self._metrics.tasks.set(len(self._network.tasks))
        self._metrics.waiting.set(self._queue.waiting)
        self._metrics.bytes.set(self._bodies.held)
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    def _answer(self, examples: Sequence[Example]) -> Sequence[Predictions | None]:
        self._metrics.batch.observe(len(examples))
        self._metrics.mixed.observe(len({example.task.row for example in examples}))
        return self._network.predictions(examples)


async def _while_there(request: Request, asked: Coroutine[Any, Any, T]) -> T:
    """What is asked for, given up as soon as the client has gone."""
    answer = asyncio.ensure_future(asked)
    try:
        await _first(answer, _hung_up(request))
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()


async def _hung_up(request: Request) -> None:
    """Ends when the client has gone, after its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _first(answer: asyncio.Future[Any], other: Coroutine[Any, Any, None]) -> None:
    """Waits until one of the two has ended, and ends the second."""
    task = asyncio.ensure_future(other)
    try:
        await asyncio.wait((answer, task), return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
