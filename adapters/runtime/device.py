"""One frozen backbone and the patches installed on it, on a device: LiteRT and no JAX.

    device = Device("backbone.tflite")
    device.install("digits.patch")
    device.run("digits", pathlib.Path("three.png").read_bytes()).label

Any number of threads may call one device. Calls that use one graph take turns; a task that was
installed folded has a graph of its own, and so runs beside the others. Whoever runs a task while it
is being installed again gets the old patch's answer or the new one's, never a mixture.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapters.errors import UnknownNameError
from adapters.heads import linear
from adapters.heads.contract import Head, NoAnswerError, Said
from adapters.heads.registry import head_of
from adapters.preprocessing import (
    Preprocessing,
    UnreadableImageError,
    decode,
    normalise,
    prepare,
    upright,
)
from adapters.runtime import int8, signatures
from adapters.runtime.engine import Engine
from adapters.runtime.feeds import Feed, How, check_how, check_size, feed, padded_head
from adapters.runtime.graph_file import Graph, read_graph
from adapters.runtime.preprocessing_check import check_preprocessing
from adapters.store import parity
from adapters.store.contents import PatchContents, check_reads_features, check_without_look
from adapters.store.errors import naming
from adapters.store.read import read_patch
from adapters.store.trust import Trusted

Array = npt.NDArray[np.float32]
Picture = bytes | Image.Image


class _Task(NamedTuple):
    """An installed patch; replaced as a whole, so that nobody sees half of one."""

    labels: tuple[str, ...]
    head: Head
    preprocessing: Preprocessing
    engine: Engine
    kind: str
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
            logits = self._logits(installed, np.stack(inputs[:batch]), batch)
            answers += [_answer(task, installed, row) for row in logits]
            inputs = inputs[batch:]
        return answers

    def _installed(self, task: str) -> _Task:
        tasks = self._tasks
        if task not in tasks:
            raise UnknownNameError("installed task", task, tasks)
        return tasks[task]

    def _proven(self, contents: PatchContents, how: How) -> _Task:
        """A patch ready to run, that has given the logits which it states."""
        check_how(how)
        check_without_look(contents)
        check_reads_features(contents)
        task = self._prepared(contents, how)
        self._check_parity(contents, task)
        return task

    def _prepared(self, contents: PatchContents, how: How) -> _Task:
        preprocessing = check_preprocessing(contents, self._graph.mean, self._graph.std)
        check_size(contents.task, preprocessing.size, self._graph.sizes)
        head = padded_head(contents.task, contents.head, self._graph)
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
            {**made.inputs, **head},
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
        logits = self._logits(task, image[None], min(graph.batches))
        parity.check_logits(expected, logits[0], tolerance)

    def _logits(self, task: _Task, images: Array, batch: int) -> Array:
        """[N, classes] of at most `batch` images [N, H, W, 3]."""
        filled = np.zeros((batch, *images.shape[1:]), np.float32)
        filled[: len(images)] = images
        inputs = {**task.inputs, signatures.IMAGES: filled}
        name = signatures.signature(task.kind, task.preprocessing.size, batch)
        logits = task.engine.run(name, inputs, signatures.LOGITS)
        return logits[: len(images), : len(task.labels)]


def network_input(image: Picture, preprocessing: Preprocessing) -> Array:
    """The float32 input [size, size, 3] of a network. Raises UnreadableImageError."""
    if isinstance(image, bytes):
        opened = decode(image, preprocessing.background)
    elif isinstance(image, Image.Image):
        opened = upright(image, preprocessing.background)
    else:
        raise UnreadableImageError(
            f"{type(image).__name__} is no image: give the bytes of an image file, or an image "
            "that Pillow has opened."
        )
    return normalise(prepare(opened, preprocessing), preprocessing)


def _answer(name: str, task: _Task, logits: Array) -> Said:
    try:
        return task.head.decode(task.labels, {linear.LOGITS: logits})
    except NoAnswerError as error:
        raise NoAnswerError(f"{name}: {error}") from error
