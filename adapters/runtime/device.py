"""One frozen backbone and the patches installed on it, on a device: LiteRT and no JAX.

    device = Device("backbone.tflite")
    device.install("digits.patch")
    device.run("digits", pathlib.Path("three.png").read_bytes()).label

Any number of threads may call one device. Calls that use one graph take turns; a task that was
installed folded has a graph of its own, and so runs beside the others. Whoever runs a task while it
is being installed again gets the old patch's answer or the new one's, never a mixture.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.heads.contract import Head, NoAnswerError, Said
from adapters.heads.filling import emptied
from adapters.heads.registry import head_of
from adapters.preprocessing import (
    Preprocessing,
    UnreadableImageError,
    decode,
    normalise,
    prepare,
    upright,
    view_of,
)
from adapters.runtime import int8, signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import Feed, How, check_how, feed
from adapters.runtime.graph_file import Graph, read_graph
from adapters.runtime.preprocessing_check import check_preprocessing
from adapters.runtime.room_choice import find_room, head_inputs
from adapters.runtime.rooms import Room
from adapters.store import parity
from adapters.store.contents import PatchContents, check_without_look
from adapters.store.errors import naming
from adapters.store.read import read_patch
from adapters.store.trust import Trusted
from adapters.view import View

Array = npt.NDArray[np.float32]
Picture = bytes | Image.Image


class NoMaskError(ModelPatchError):
    """A task that tells no label for each pixel."""


class _Task(NamedTuple):
    """An installed patch; replaced as a whole, so that nobody sees half of one."""

    labels: tuple[str, ...]
    head: Head
    preprocessing: Preprocessing
    engine: Engine
    kind: str
    room: Room
    inputs: Mapping[str, Array]


class Device:
    """A backbone and its tasks."""

    def __init__(
        self,
        backbone: str | os.PathLike[str],
        threads: int = 1,
        signed_by: Trusted | None = None,
    ):
        """Opens what `launch/export` wrote.

        Args:
          backbone: path of the exported graph.
          threads: that one call may use.
          signed_by: keys one of which must have signed the graph's folder; None asks nobody.

        Raises:
          GraphFileError: the file is missing, damaged or something else.
          PatchFileError: nobody of `signed_by` vouches for it; see `signed_folder.check_file`.
          LiteRTError: LiteRT is missing, or refuses the graph.
        """
        self._graph = read_graph(backbone, signed_by)
        self._threads = threads
        self._engine = Engine(self._graph.flatbuffer, threads)
        self._tasks: dict[str, _Task] = {}
        self._installing = threading.Lock()

    def install(self, patch: str | os.PathLike[str], how: How = "auto") -> str:
        """Installs a patch file, in place of an earlier one of its task; returns the task's name.

        Every check of the file is made, and the logits that it states must come out of this very
        graph, in its smallest batch, before anything is replaced. Neither its signature nor its
        version is looked at: `stored.StoredDevice` does that.

        Args:
          patch: path of the file.
          how: "inputs" keeps the patch beside the one shared graph; "folded" gives the task a graph
            of its own, of which every answer is as fast as without a patch; "auto" folds only what
            cannot be an input.

        Raises:
          PatchFileError: the file fails a check: PreprocessingMismatchError where it makes of an
            image what this graph does not take, ParityError where its logits do not come out.
          UnsupportedPatchError: the graph cannot take this patch; OtherSizeError for its images.
        """
        contents = read_patch(
            patch,
            shapes=self._graph.shapes,
            features=self._graph.features,
            fingerprint=self._graph.fingerprint,
        )
        with naming(patch):
            self.install_contents(contents, how)
        return contents.task

    def install_contents(self, contents: PatchContents, how: How = "auto") -> None:
        """`install`, of a patch that was read and checked already. Raises as `prove` does."""
        task = self._proven(contents, how)
        with self._installing:
            self._tasks = {**self._tasks, contents.task: task}

    def prove(self, contents: PatchContents, how: How = "auto") -> None:
        """Tries a patch on this graph and installs nothing.

        Raises:
          PreprocessingMismatchError, ParityError, UnsupportedPatchError: see `install`.
        """
        self._proven(contents, how)

    @property
    def graph(self) -> Graph:
        """The exported backbone."""
        return self._graph

    def remove(self, task: str) -> None:
        """Forgets a task. Raises UnknownNameError when it is not installed."""
        with self._installing:
            self._installed(task)
            self._tasks = {name: own for name, own in self._tasks.items() if name != task}

    def tasks(self) -> tuple[str, ...]:
        """The installed tasks, sorted."""
        return tuple(sorted(self._tasks))

    def run(self, task: str, image: Picture) -> Said:
        """What a task says of one image.

        Args:
          task: an installed one.
          image: the bytes of an image file, or an image that Pillow has opened.

        Raises:
          UnknownNameError: no such task is installed; near names are offered.
          UnreadableImageError: it is no image, or a damaged one.
          NoAnswerError: the patched network overflows on this image.
        """
        return self.run_all(task, [image])[0]

    def listed(self, task: str, image: Picture) -> list[dict[str, Any]]:
        """`run` as JSON, as `Head.listed` has it: places are in pixels of the image."""
        installed, predictions, view = self._seen(task, image)
        with _told(task):
            return installed.head.listed(installed.labels, predictions, view)

    def mask(self, task: str, image: Picture) -> npt.NDArray[np.int32]:
        """The number of the label of each pixel of the image, [H, W]; -1 where none was seen.

        Raises NoMaskError for a task that tells no such labels, and what `run` raises.
        """
        installed, predictions, view = self._seen(task, image)
        if installed.head.mask is None:
            raise NoMaskError(f"{task} predicts {installed.head.kind}, no label for each pixel.")
        with _told(task):
            return installed.head.mask(installed.labels, predictions, view)

    def run_all(self, task: str, images: Sequence[Picture]) -> list[Said]:
        """What a task says of each image, in the largest batches that the graph has."""
        installed = self._installed(task)
        inputs = [network_input(image, installed.preprocessing) for image in images]
        answers = []
        while inputs:
            batch = max(
                (size for size in self._graph.batches if size <= len(inputs)),
                default=min(self._graph.batches),
            )
            found = self._predictions(installed, np.stack(inputs[:batch]), batch)
            answers += [
                _answer(task, installed, {name: rows[row] for name, rows in found.items()})
                for row in range(len(inputs[:batch]))
            ]
            inputs = inputs[batch:]
        return answers

    def _seen(self, task: str, image: Picture) -> tuple[_Task, dict[str, Array], View]:
        """What is predicted of an image, and how the network saw it."""
        installed = self._installed(task)
        own = opened(image, installed.preprocessing)
        pixels = normalise(prepare(own, installed.preprocessing), installed.preprocessing)
        found = self._predictions(installed, pixels[None], min(self._graph.batches))
        view = view_of(*own.size, installed.preprocessing)
        return installed, {name: rows[0] for name, rows in found.items()}, view

    def _installed(self, task: str) -> _Task:
        tasks = self._tasks
        if task not in tasks:
            raise UnknownNameError("installed task", task, tasks)
        return tasks[task]

    def _proven(self, contents: PatchContents, how: How) -> _Task:
        """A patch ready to run, that has given the logits which it states."""
        check_how(how)
        check_without_look(contents)
        task = self._prepared(contents, how)
        self._check_parity(contents, task)
        return task

    def _prepared(self, contents: PatchContents, how: How) -> _Task:
        preprocessing = check_preprocessing(contents, self._graph.mean, self._graph.std)
        room = find_room(contents, preprocessing.size, self._graph.rooms)
        made: Feed = feed(self._graph, contents.edits, how)
        engine = self._engine
        if made.flatbuffer is not None:
            engine = Engine(made.flatbuffer, self._threads)
        return _Task(
            contents.labels,
            head_of(contents),
            preprocessing,
            engine,
            made.kind,
            room,
            {**made.inputs, **head_inputs(contents, room)},
        )

    def _check_parity(self, contents: PatchContents, task: _Task) -> None:
        stated, graph = contents.parity, self._graph
        expected, tolerance = stated.logits, stated.tolerance
        if graph.kernels_are_int8 and stated.int8_logits is not None:
            expected = stated.int8_logits
            # Kernels that are inputs are float32; the file speaks of rounded ones.
            task = task._replace(
                inputs={
                    name: int8.rounded(leaf) if name in graph.kernels else leaf
                    for name, leaf in task.inputs.items()
                }
            )
        else:
            tolerance = max(tolerance, graph.tolerance * max(map(abs, stated.logits)))
        image = parity.seeded_image(stated.seed, stated.shape)
        found = self._predictions(task, image[None], min(graph.batches))
        values = parity.values({name: rows[0] for name, rows in found.items()}, stated.seed)
        parity.check_logits(expected, values, tolerance)

    def _predictions(self, task: _Task, images: Array, batch: int) -> dict[str, Array]:
        """{name: [N, ...]} of at most `batch` images [N, H, W, 3]."""
        filled = np.zeros((batch, *images.shape[1:]), np.float32)
        filled[: len(images)] = images
        inputs = {**task.inputs, signatures.IMAGES: filled}
        name = self._graph.signature(task.kind, task.room, batch)
        found = task.engine.predictions(name, inputs)
        own = {prediction: rows[: len(images)] for prediction, rows in found.items()}
        return emptied(own, task.room.outputs - len(task.labels))


def network_input(image: Picture, preprocessing: Preprocessing) -> Array:
    """The float32 input [size, size, 3] of a network. Raises UnreadableImageError."""
    return normalise(prepare(opened(image, preprocessing), preprocessing), preprocessing)


def opened(image: Picture, preprocessing: Preprocessing) -> Image.Image:
    """The image upright and in RGB. Raises UnreadableImageError."""
    if isinstance(image, bytes):
        return decode(image, preprocessing.background)
    if isinstance(image, Image.Image):
        return upright(image, preprocessing.background)
    raise UnreadableImageError(
        f"{type(image).__name__} is no image: give the bytes of an image file, or an image "
        "that Pillow has opened."
    )


def _answer(name: str, task: _Task, predictions: Mapping[str, Array]) -> Said:
    with _told(name):
        return task.head.decode(task.labels, predictions)


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Says of which task there is no answer."""
    try:
        yield
    except NoAnswerError as error:
        raise NoAnswerError(f"{name}: {error}") from error
