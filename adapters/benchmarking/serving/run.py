"""A whole benchmark of servers: images, then comparisons, whose rows stay as they come."""

import contextlib
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from adapters.benchmarking import run
from adapters.benchmarking.serving import attack, images, measure, patches, picture, robustness
from adapters.benchmarking.serving.load import Generator
from adapters.benchmarking.serving.measure import Settings
from adapters.benchmarking.serving.server import Server
from adapters.benchmarking.serving.single import BATCHES
from adapters.errors import ModelPatchError
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents
from adapters.training import tidy
from tasks import registry
from tasks.task import Task

OURS, OTHERS = "launch.serve", "adapters.benchmarking.serving.other_server"
WORKS = ("throughput", "robustness", attack.WORK)
MIXED, ONE_TASK, NETWORKS = "mixed batches", "batches of one task", "a network a task"
IMAGES = 24  # of a task, at most


class NoTaskError(ModelPatchError):
    """A patch is of no task that images were named for."""


def benchmark(
    paths: Sequence[str],
    weights: str | None,
    task_names: Sequence[str],
    works: Sequence[str],
    clients: Sequence[int],
    requests: int,
    repetitions: int,
    seconds: int,
    generator: Generator,
    out: pathlib.Path,
    drawing: pathlib.Path,
    command: str,
    *,
    resume: bool,
    data_dir: str | None = None,
    ours: str = OURS,
    others: str = OTHERS,
) -> None:
    """Measures servers of patch files into the CSV file `out`, and draws that file.

    Args:
      paths: of patch files, of one backbone and image size.
      weights: the backbone's local checkpoint, if it needs one.
      task_names: where images come from; empty for the tasks that the patches name.
      works: of `WORKS`.
      clients: numbers of clients, in turn, that ask at once.
      requests: of the robustness run.
      repetitions: turns of each server.
      seconds: of a turn that count.
      generator: asks.
      out: rows there that measured the same are replaced.
      drawing: a PNG.
      command: what rows say to call.
      resume: leave out what `out` has rows of.
      data_dir: folder with prepared TFDS data sets.
      ours, others: modules of the servers.

    Raises WrongAnswerError, LeakError, ServerError, GeneratorError, NoTaskError, NoImagesError.
    """
    backbone, contents = patches.read(paths, weights)
    settings = Settings(
        backbone=contents[0].backbone,
        patch=" or ".join(dict.fromkeys(one.patch for one in contents)),
        size=Preprocessing.from_json(contents[0].preprocessing).size,
        tasks=len(contents),
        threads=len(os.sched_getaffinity(0)),
        repetitions=repetitions,
        seconds=seconds,
        command=command,
    )
    alone = images.Alone(backbone, contents)
    own = [images.of_task(alone, one, IMAGES, data_dir) for one in _tasks(contents, task_names)]
    good = list(itertools.chain.from_iterable(zip(*own, strict=False)))  # as many of each
    flags = ["--port=0", f"--batches={','.join(map(str, BATCHES))}"]
    flags += [] if weights is None else [f"--weights={weights}"]
    starts = {
        MIXED: (ours, [*flags, *paths]),
        ONE_TASK: (others, ["one_task", weights or "", *paths]),
        NETWORKS: (others, ["networks", weights or "", *paths]),
    }

    def known(work: str, name: str, clients: int) -> bool:
        setting = settings.setting(work, name, clients)
        return (settings.backbone, settings.patch, setting) in run.known(out)

    if "throughput" in works:
        left = [one for one in clients if not (resume and known("serving", MIXED, one))]
        if left:
            with _started(starts) as servers:
                for one in left:
                    run.keep(measure.compare(servers, generator, good, one, settings), out)
    if "robustness" in works:
        name, most = f"{requests} requests", max(clients)
        if not (resume and known(robustness.WORK, name, most)):
            with _started({MIXED: starts[MIXED]}) as servers:
                rows = robustness.survive(
                    servers[MIXED], generator, good, alone, requests, most, settings
                )
            run.keep(rows, out)
    if attack.WORK in works and not (resume and known(attack.WORK, attack.NAME, 1)):
        with _started({MIXED: starts[MIXED]}) as servers:
            rows = attack.compare(servers[MIXED], generator, good, settings)
        run.keep(rows, out)
    picture.draw(tidy.read(out), drawing)


def _tasks(contents: Sequence[PatchContents], names: Sequence[str]) -> list[Task]:
    """The task of each patch. Raises NoTaskError."""
    known = (
        registry.resolve(names) if names else [registry.registered(one.task) for one in contents]
    )
    found = {task.name: task for task in known}
    for one in contents:
        if one.task not in found:
            raise NoTaskError(
                f"no task has images for the patch of {one.task}: add its task.", settings=["tasks"]
            )
    return [found[one.task] for one in contents]


@contextlib.contextmanager
def _started(starts: Mapping[str, tuple[str, Sequence[str]]]) -> Iterator[dict[str, Server]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Server(module, arguments))
            for name, (module, arguments) in starts.items()
        }
