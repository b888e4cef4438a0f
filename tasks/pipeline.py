"""Batches of images: endless numbered ones to train on, one ordered pass to measure.

Pixels leave here as uint8 `[examples, size, size, 3]`; `adapters.preprocessing.normalise`, or the
same two numbers inside a jitted step, makes them the network's input.
"""

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from adapters.heads.contract import Target
from adapters.preprocessing import Preprocessing, prepare, prepare_classes
from adapters.words import unsaid
from tasks import loading, objects
from tasks.augmentation import (
    POLICIES,
    Augmentation,
    AugmentationError,
    View,
    random_view,
    recoloured,
)
from tasks.task import Asking, Examples, ImageFileExamples, Task
from tasks.trivial_augment import one_operation

if TYPE_CHECKING:
    import grain

PLACED = ("pixel", "segment", "object")  # what moves with the pixels of its image
READ_THREADS = 2
READ_AHEAD = 4  # batches


class EvaluationBatch(NamedTuple):
    """Part of a split, in its order.

    Attributes:
      inputs: {name: [N, ...]}: `image` uint8 [N, S, S, 3], others float32.
      targets: {name: [N, ...]}, of the task's head.
      mask: [N] bool, False where the last batch was filled up with zeros.
      names: of the examples; "" where filled up.
    """

    inputs: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]
    mask: np.ndarray
    names: list[str]


def training_batches(
    task: Task,
    preprocessing: Preprocessing,
    examples: int,
    seed: int,
    *,
    split: str = "train",
    data_dir: str | None = None,
    augmentation: str = "task",
    inputs: Collection[str] = (),
    shard_index: int = 0,
    shard_count: int = 1,
) -> "grain.MapDataset[Mapping[str, np.ndarray]]":
    """Endless batches `{"image": uint8 [examples, S, S, 3]}` with the head's targets, by number.

    A classifier has `"label": int32 [examples]`; what has a value for each output is float32
    [examples, outputs], what has one for each pixel, or its segment, int32 [examples, S, S], what
    has one for each object float32 [examples, MOST_OBJECTS, 5].

    Every epoch has its own order and augmentation, both decided by `seed` alone: the same call
    gives the same batches, wherever and in whatever order they are read. Batches run on over the
    end of an epoch, so that a split smaller than a batch works too.

    `inputs` names what batches shall have beside the image, float32 each: see `Task.inputs`. Where
    the task asks something of each view (`Task.ask`), targets are what goes with what was drawn; a
    run that reads nothing of it is asked nothing. `augmentation` is one of
    `tasks.augmentation.POLICIES`. With `shard_count` parts, these are of part `shard_index` of
    every epoch.

    Raises AugmentationError where an operation would bend images and not what has a place in them,
    and what `loading.open_split` raises.
    """
    # Grain takes a second to import, and not every command needs it.
    import grain

    how, targets = POLICIES[augmentation](task.augmentation), task.made_head.targets
    if how.operation and any(target.per in PLACED for target in targets.values()):
        raise AugmentationError(
            f"the examples of {task.name} have places in their images, which operations on images "
            "would leave where they were: choose another augmentation."
        )
    source = loading.open_split(task, split, data_dir, preprocessing.size)
    ask = task.ask if task.ask and set(task.ask.inputs) & set(inputs) else None
    given = [name for name in inputs if not ask or name not in ask.inputs]
    return (
        endless(grain.MapDataset.source(source), seed, shard_index, shard_count)
        .random_map(_Prepare(how, preprocessing, _others(task, given), ask), seed=seed)
        .batch(examples, drop_remainder=True)
    )


def endless(
    examples: "grain.MapDataset[Any]", seed: int, shard_index: int = 0, shard_count: int = 1
) -> "grain.MapDataset[Any]":
    """The order of training: epoch after epoch, each in an order of its own, or a part of each."""
    return examples.shuffle(seed=seed)[shard_index::shard_count].repeat(None)


def varies(task: Task, augmentation: str) -> bool:
    """Whether examples differ from epoch to epoch: by this policy, or by what is asked."""
    none = POLICIES["none"](task.augmentation)
    return task.ask is not None or POLICIES[augmentation](task.augmentation) != none


def whole_views(
    task: Task, preprocessing: Preprocessing, inputs: Collection[str] = ()
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Gives of a training example what batches have of it where nothing varies."""
    none = POLICIES["none"](task.augmentation)
    prepare = _Prepare(none, preprocessing, _others(task, inputs), None)
    return lambda example: prepare(example, np.random.default_rng(0))


def _others(task: Task, inputs: Collection[str]) -> dict[str, Target]:
    """What a training example has beside its image."""
    targets = task.made_head.targets
    return {**dict.fromkeys(inputs, Target("float32", "output")), **targets}


def training_iterator(
    task: Task, preprocessing: Preprocessing, examples: int, seed: int, **options: Any
) -> Iterator[Mapping[str, np.ndarray]]:
    """The batches that `training_batches` gives for the same call, in order, read ahead."""
    import grain

    batches = training_batches(task, preprocessing, examples, seed, **options)
    return iter(batches.to_iter_dataset(grain.ReadOptions(READ_THREADS, READ_AHEAD)))


def evaluation_batches(
    task: Task,
    split: str,
    preprocessing: Preprocessing,
    examples: int,
    *,
    data_dir: str | None = None,
    inputs: Collection[str] = (),
) -> Iterator[EvaluationBatch]:
    """Yields a split once, in its order, in batches of one shape. Label -1 means hidden.

    Image files are made ready as a server makes them, whole, so that a score is of what it answers.
    `inputs` names what batches shall have beside the image.
    """
    source = loading.open_split(task, split, data_dir, preprocessing.size)
    silent = unsaid(task.inputs, task.words)
    for start in range(0, len(source), examples):
        shown = range(start, min(start + examples, len(source)))
        found = [_prepared(source, index, preprocessing) for index in shown]
        pixels = np.zeros((examples, preprocessing.size, preprocessing.size, 3), np.uint8)
        pixels[: len(found)] = [example["image"] for example in found]
        others = {name: np.zeros((examples, *task.inputs[name]), np.float32) for name in inputs}
        for name, values in others.items():
            values[: len(found)] = [example.get(name, silent.get(name)) for example in found]
        mask = np.arange(examples) < len(found)
        names = [example["name"] for example in found] + [""] * (examples - len(found))
        targets = _targets(task, found, examples, preprocessing)
        yield EvaluationBatch({"image": pixels, **others}, targets, mask, names)


def evaluation_files(
    task: Task, split: str, size: int, *, data_dir: str | None = None
) -> Iterator[bytes]:
    """Yields an image file of each example of a split, in its order, as a client would send it.

    Images that lie in memory alone are written as PNG. `size` is the side of the network's images.
    """
    source = loading.open_split(task, split, data_dir, size)
    for index in range(len(source)):
        if isinstance(source, ImageFileExamples):
            yield source.file(index)
        else:
            file = io.BytesIO()
            Image.fromarray(source[index]["image"]).save(file, "png")
            yield file.getvalue()


def _prepared(source: Examples, index: int, how: Preprocessing) -> Mapping[str, Any]:
    if isinstance(source, ImageFileExamples):
        return source.prepared(index, how)
    example = source[index]
    image = prepare(Image.fromarray(example["image"]), how)
    return {**example, "image": image, "shape": example["image"].shape[:2]}


def all_targets(task: Task, split: str, data_dir: str | None = None) -> dict[str, np.ndarray]:
    """The targets of a whole split, {name: [N, ...]}."""
    kept = task.made_head.targets  # and no images: a split need not fit into memory
    source = loading.open_split(task, split, data_dir)
    known = (
        map(source.known, range(len(source))) if isinstance(source, ImageFileExamples) else source
    )
    examples = [{name: example[name] for name in kept} for example in known]
    return _targets(task, examples, len(examples))


def training_view(
    example: Mapping[str, Any],
    others: Mapping[str, Target],
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
    ask: Asking | None = None,
) -> dict[str, np.ndarray]:
    """Returns one random view of an example: `image` as uint8 `[size, size, 3]`, and `others`.

    With `ask`, also what is drawn for this view, and the targets that go with that.
    """
    pixels, view = _random_pixels(example["image"], augmentation, preprocessing, rng)
    known = {
        name: _seen(example[name], target, example["image"].shape[:2], preprocessing, view)
        for name, target in others.items()
    }
    return {"image": pixels, **known, **(ask(known, rng) if ask else {})}


def _random_pixels(
    image: np.ndarray,
    augmentation: Augmentation,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> tuple[np.ndarray, View]:
    whole = Image.fromarray(image)
    view = random_view(whole.width, whole.height, augmentation, rng)
    pixels = recoloured(prepare(whole, preprocessing, view.box), augmentation, rng)
    if augmentation.operation:
        pixels = one_operation(pixels, rng)
    return pixels[:, ::-1] if view.mirrored else pixels, view


class _Prepare:
    """What happens to one training example; a class, so that worker processes can be sent it."""

    def __init__(
        self,
        augmentation: Augmentation,
        preprocessing: Preprocessing,
        others: Mapping[str, Target],
        ask: Asking | None,
    ):
        self._augmentation, self._preprocessing = augmentation, preprocessing
        self._others, self._ask = others, ask

    def __call__(self, example: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        how = self._augmentation, self._preprocessing
        return training_view(example, self._others, *how, rng, self._ask)


def _seen(
    value: Any,
    target: Target,
    shape: Sequence[int],
    preprocessing: Preprocessing,
    view: View | None = None,
) -> np.ndarray:
    """A target as the network sees its image, of `shape` (H, W): the whole of it, or a view.

    Only targets that are places in the image need its shape.
    """
    box, mirrored = (None, False) if view is None else view
    match target.per:
        case "pixel" | "segment":
            found = prepare_classes(value, preprocessing, box)
            return found[:, ::-1] if mirrored else found
        case "object":
            height, width = shape
            return objects.seen(value, width, height, preprocessing, box, mirrored)
        case _:
            return np.asarray(value, target.dtype)


def _targets(
    task: Task,
    examples: Sequence[Mapping[str, Any]],
    count: int,
    preprocessing: Preprocessing | None = None,
) -> dict[str, np.ndarray]:
    """Of `count` examples, those beyond the given ones zero; pixels as `preprocessing` has them."""
    found = {}
    for name, target in task.made_head.targets.items():
        if preprocessing is not None:
            values = [
                _seen(example[name], target, example.get("shape", ()), preprocessing)
                for example in examples
            ]
        elif target.per == "object":
            values = [objects.filled(example[name]) for example in examples]
        else:
            values = [np.asarray(example[name], target.dtype) for example in examples]
        found[name] = np.zeros((count, *values[0].shape), target.dtype)
        found[name][: len(examples)] = values
    return found
