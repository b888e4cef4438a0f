"""A finished run as the teacher of another: what its patches say is what the student learns.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, at
temperature 1, and maps that are matched (`adapters.training.matching`). With a run of each task
alone as its teacher, and shares that are annealed, it is what Li, Liu and Bilen train one network
of many domains with ("Universal Representations: A Unified Look at Multiple Task and Domain
Learning", arXiv 2204.02744); they match features by a kernel's similarities.
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from adapters.backbones.builder import Backbone
from adapters.backbones.taps import channels, tap
from adapters.errors import ModelPatchError
from adapters.experiment import evaluation
from adapters.experiment.opening import OpenedPatch
from adapters.experiment.results import SHARED_BACKBONE
from adapters.experiment.run_files import RUN
from adapters.experiment.settings import Settings
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference, inference
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from adapters.training import matching
from adapters.training.assembling import Teacher
from adapters.training.matching import Matched
from adapters.training.reading import Arrays
from tasks.task import Task


class TeacherError(ModelPatchError):
    """A folder whose patches cannot teach this run."""


def teacher(settings: Settings, tasks: Sequence[Task]) -> Teacher | None:
    """The teacher that `settings` name, or None.

    Raises:
      TeacherError: a task has no patch in the folder, or one for images of another size.
      LabelsDifferError: a patch was trained for other classes.
      PatchFileError: a patch fails a check.
    """
    if settings.teacher is None:
        return None
    for task in tasks:
        if task.made_head.soft_targets is None:
            raise TeacherError(
                f"task {task.name} has the head {task.made_head.kind}, which learns from its own "
                "examples alone: train it in a run of its own, without a teacher.",
                settings=["teacher"],
            )
    files = _files(settings, tasks)
    taught = []
    for task, path, size in zip(tasks, files, settings.sizes(tasks), strict=True):
        weights = _weights(path.parent)
        opened = evaluation.open_patch(str(path), "train", task, weights, settings.examples)
        if opened.preprocessing.size != size:
            raise TeacherError(
                f"{path} takes images of {opened.preprocessing.size} px, this run has the size "
                f"{size}: a teacher must see the images that its student sees.",
                settings=["size"],
            )
        edited = apply_edits(opened.backbone.weights, opened.contents.edits)
        seen = _network(opened, settings.examples, *_maps(settings))
        taught.append((opened, seen, jax.tree.map(jnp.asarray, edited)))

    def teach(task: int, pixels: npt.NDArray[np.uint8]) -> Arrays:
        opened, seen, edited = taught[task]
        images = normalise(pixels, opened.preprocessing)
        taps = {
            name: np.asarray(each) for name, each in seen.taps(edited, {"image": images}).items()
        }
        head = head_of(opened.contents)
        assert head.soft_targets is not None  # its kind is the task's
        said = head.soft_targets(head.apply(opened.contents.head, taps)).astype(np.float32)
        maps = [(matching.MAP, taps[name]) for name in _maps(settings)]
        return {"teacher": said, **dict(maps)}

    return teach


def matched(
    settings: Settings, tasks: Sequence[Task], teacher: Teacher | None, student: Backbone
) -> Matched | None:
    """Which map a student matches, if any, once all teachers were found to have one like it.

    Raises TeacherError where one has another side, or where teachers have different channels, and
    UnknownNameError where there is no such map.
    """
    maps = _maps(settings)
    if teacher is None or not maps:
        return None
    (name,) = maps
    found = set[int]()
    for number, (task, size) in enumerate(zip(tasks, settings.sizes(tasks), strict=True)):
        pixels = np.zeros((settings.examples, size, size, 3), np.uint8)
        theirs = np.shape(teacher(number, pixels)[matching.MAP])[1:]
        own = _shape(student, size, name)
        found.add(theirs[-1])
        if theirs[:-1] != own[:-1] or len(found) > 1:
            raise TeacherError(
                f"the map {name} of the teacher of {task.name} has the shape {list(theirs)}, the "
                f"student's has {list(own)}: sides must agree, and channels among teachers. Match "
                "the pooled features, which every network has, with teachers of one backbone.",
                settings=["matched_map"],
            )
    return Matched(name, (channels(student.table, name), found.pop()))


def _maps(settings: Settings) -> tuple[str, ...]:
    """The map that is matched, if one is."""
    return (settings.recipe.matched_map,) if settings.recipe.feature_matching else ()


def _network(opened: OpenedPatch, examples: int, *maps: str) -> Inference:
    """The opened patch's network, which gives these maps beside those that its head reads."""
    taps, size = head_of(opened.contents).taps, opened.preprocessing.size
    if set(maps) <= set(taps):
        return opened.network
    return inference(opened.backbone.network, examples, size, opened.prepare, {*taps, *maps})


def _shape(network: Backbone, size: int, name: str) -> tuple[int, ...]:
    """Of one image's map."""

    def seen(key: jax.Array, image: jax.Array) -> jax.Array:
        return tap(network.table, network.apply(network.init(key), image), name)

    image = jax.ShapeDtypeStruct((size, size, 3), jnp.float32)
    return jax.eval_shape(seen, jax.random.key(0), image).shape


def digest(settings: Settings, tasks: Sequence[Task]) -> list[str]:
    """The sha256 of each task's teacher, so that a resumed run has the same ones."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(settings, tasks)]


def _files(settings: Settings, tasks: Sequence[Task]) -> list[pathlib.Path]:
    folder = pathlib.Path(str(settings.teacher))
    return [_file(folder, f"{task.name}.patch", task.name) for task in tasks]


def _file(folder: pathlib.Path, name: str, task: str) -> pathlib.Path:
    """That of a run of all tasks, or of one of the task alone, in a folder of its own."""
    for path in (folder / name, folder / task / name):
        if path.exists():
            return path
    raise TeacherError(
        f"the teacher {folder} has no {name}, nor has a folder {task} in it: train the same tasks "
        f"there first, or {task} alone in {folder / task}.",
        settings=["teacher"],
    )


def _weights(folder: pathlib.Path) -> str | None:
    """The file of the backbone that the run in `folder` left, or had."""
    shared, record = folder / SHARED_BACKBONE, folder / RUN
    if shared.exists():
        return str(shared)
    try:
        return json.loads(record.read_bytes())["weights"]
    except (OSError, ValueError, KeyError) as error:
        raise TeacherError(
            f"the teacher {folder} is no folder of a finished run: {record} cannot be read "
            f"({error}).",
            settings=["teacher"],
        ) from error
