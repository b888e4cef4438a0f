"""Ways for a device to hold a network's tasks, from the files that `make` has written; no JAX.

Each is opened with no task and holds tasks from then on.
"""

import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from PIL import Image

from adapters.benchmarking.device import names
from adapters.export.onnx.session import Session
from adapters.preprocessing import Preprocessing
from adapters.runtime import signatures
from adapters.runtime.device import Device
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import How, feed
from adapters.runtime.graph_file import read_graph
from adapters.runtime.room_choice import find_room, head_inputs
from adapters.store.read import read_patch

Array = npt.NDArray[Any]


class Holder(Protocol):
    """What runs a network's tasks."""

    def add(self, number: int) -> None:
        """Takes task `number` from its files, as it would be installed; again if it has it."""

    def run(self, number: int, images: Array) -> Any:
        """What a task that was added says of images [N, size, size, 3]: its head's predictions."""


def threads() -> int:
    """As many as this process may use cores."""
    return len(os.sched_getaffinity(0))


class LiteRT:
    """One LiteRT graph that takes patches as inputs, or has each folded into a graph of its own."""

    def __init__(self, folder: pathlib.Path, name: str, how: How):
        self._folder, self._how = folder, how
        self._graph = read_graph(folder / name)
        self._engine = Engine(self._graph.flatbuffer, threads())
        self._tasks: dict[int, tuple[Engine, Callable[[int], str], Mapping[str, Array]]] = {}

    def add(self, number: int) -> None:
        contents = read_patch(
            self._folder / names.patch(number),
            shapes=self._graph.shapes,
            features=self._graph.features,
            fingerprint=self._graph.fingerprint,
        )
        size = Preprocessing.from_json(contents.preprocessing).size
        room = find_room(contents, size, self._graph.rooms)
        made = feed(self._graph, contents.edits, self._how)
        engine = self._engine
        if made.flatbuffer is not None:
            engine = Engine(made.flatbuffer, threads())
        inputs = {**made.inputs, **head_inputs(contents, room)}
        name = functools.partial(self._graph.signature, made.kind, room)
        self._tasks[number] = engine, name, inputs

    def run(self, number: int, images: Array) -> Any:
        engine, name, inputs = self._tasks[number]
        return engine.predictions(name(len(images)), {**inputs, signatures.IMAGES: images})


class LiteRTFiles:
    """A LiteRT graph a task, each from its own file. (Tasks of one kind have the same one here.)"""

    def __init__(self, folder: pathlib.Path, name: Callable[[int], str]):
        self._folder, self._name = folder, name
        self._tasks: dict[int, Engine] = {}

    def add(self, number: int) -> None:
        data = (self._folder / self._name(number)).read_bytes()
        self._tasks[number] = Engine(data, threads())

    def run(self, number: int, images: Array) -> Any:
        name = signatures.task_signature(len(images))
        return self._tasks[number].predictions(name, {signatures.IMAGES: images})


class ONNX:
    """One ONNX graph that takes patches as inputs."""

    def __init__(self, folder: pathlib.Path, name: str):
        self._folder = folder
        self._session = Session((folder / name).read_bytes(), threads())
        self._tasks: dict[int, Mapping[str, Array]] = {}

    def add(self, number: int) -> None:
        self._tasks[number] = safetensors.numpy.load_file(self._folder / names.inputs(number))

    def run(self, number: int, images: Array) -> Any:
        return self._session.predictions({**self._tasks[number], signatures.IMAGES: images})


class ONNXFiles:
    """An ONNX graph a task, each from its own file. (All files here are one.)"""

    def __init__(self, folder: pathlib.Path, name: str):
        self._file = folder / name
        self._tasks: dict[int, Session] = {}

    def add(self, number: int) -> None:
        self._tasks[number] = Session(self._file.read_bytes(), threads())

    def run(self, number: int, images: Array) -> Any:
        return self._tasks[number].predictions({signatures.IMAGES: images})


class Installed:
    """The runtime's own class: every check of an installation, and images as Pillow has them."""

    def __init__(self, folder: pathlib.Path, name: str, how: How):
        self._folder, self._how = folder, how
        self._device = Device(folder / name, threads())

    def add(self, number: int) -> None:
        self._device.install(self._folder / names.patch(number), self._how)

    def run(self, number: int, images: Array) -> Any:
        pictures = [Image.fromarray(image.astype(np.uint8)) for image in images]
        return self._device.run_all(f"task_{number}", pictures)


ENGINES: Mapping[str, Callable[[pathlib.Path], Holder]] = {
    "LiteRT inputs": lambda folder: LiteRT(folder, names.LITERT, "inputs"),
    "LiteRT inputs int8": lambda folder: LiteRT(folder, names.LITERT_INT8, "inputs"),
    "LiteRT folded": lambda folder: LiteRT(folder, names.LITERT, "folded"),
    "LiteRT fused": lambda folder: LiteRTFiles(folder, lambda _: names.LITERT_FUSED),
    "ONNX Runtime inputs": lambda folder: ONNX(folder, names.ONNX),
    "ONNX Runtime fused": lambda folder: ONNXFiles(folder, names.ONNX_FUSED),
    "Device.install inputs": lambda folder: Installed(folder, names.LITERT, "inputs"),
    "Device.install folded": lambda folder: Installed(folder, names.LITERT, "folded"),
    "LiteRT one graph for kinds": lambda folder: LiteRT(
        names.kinds(folder), names.LITERT, "inputs"
    ),
    "LiteRT a graph each": lambda folder: LiteRTFiles(
        names.kinds(folder), lambda number: names.own(names.TASKS[number])
    ),
}
