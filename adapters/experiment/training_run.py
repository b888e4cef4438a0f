"""A whole run: from settings to trained patches, one file per task."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Mesh

from adapters.backbones.checkpoint import Weights
from adapters.experiment import backbones, evaluation, output, results, scoring, teaching
from adapters.experiment.settings import SettingError, Settings, scheduler
from adapters.heads.contract import Head
from adapters.heads.wide import TaskHeads
from adapters.inference.compiled import Answers, inference
from adapters.patches.contract import Patch, no_look
from adapters.patches.registry import from_spec
from adapters.patches.replacement import with_leaves
from adapters.preprocessing import Preprocessing
from adapters.store.edits import apply_edits
from adapters.store.encoding import rounded
from adapters.store.kinds import Array, Edits
from adapters.training import loop, packing
from adapters.training.calibration import calibrated
from adapters.training.report import Row
from adapters.training.step import State, trainer
from adapters.vocabulary import STATISTICS
from tasks import loading, pipeline
from tasks.task import Task

CHECKPOINTS_A_RUN, LOGS_A_RUN = 15, 150
EXTENSION = 2  # of the run's key, for what patches add to the shared weights; the loop uses 0, 1


def run(
    tasks: Sequence[Task],
    settings: Settings,
    directory: pathlib.Path,
    command: str,
    resume: bool = False,
    overwrite: bool = False,
    test: bool = True,
    validations: int = 5,
) -> list[Row]:
    """Trains the patches of `tasks` jointly, writes one patch file each, and scores them.

    Args:
      tasks: what to learn.
      settings: how.
      directory: where everything goes; see `adapters.experiment.output` for what it may hold.
      command: recorded beside the results.
      resume, overwrite: what to do with a run that `directory` holds.
      test: whether to score the test splits too; otherwise they are never opened, so that settings
        can be chosen by the result.
      validations: how often the validation splits are scored while training; the last weights'
        score is among the results even with 0.

    Returns:
      A row of figures per task.
    """
    patch = from_spec(settings.patch, settings.recipe.norm)
    backbone = backbones.load(settings.backbone, settings.weights)
    configuration = _configuration(tasks, settings, backbone)
    for task in tasks:
        evaluation.check_inputs(settings.patch, dict(patch.needs), task)
    sizes = [loading.task_size(task, "train", settings.data_dir) for task in tasks]
    heads = task_heads(tasks, settings.data_dir)
    if overwrite:
        _check_outside(directory, settings)
    teacher = teaching.teacher(settings, tasks)
    with output.claimed(directory, configuration, resume, overwrite):
        for task, size in zip(tasks, sizes, strict=True):
            logging.info("%s: %d labels, %d training images", task.name, len(task.labels), size)
        run = _Run(tasks, settings, patch, backbone, heads, teacher)
        state = run.train(directory, configuration, sizes, validations)
        return run.finish(state, directory, command, test)


def task_heads(tasks: Sequence[Task], data_dir: str | None) -> TaskHeads:
    """The heads of `tasks`, with what they have to know of the training split's targets.

    Raises TargetError where a head cannot learn them.
    """

    def head(task: Task) -> Head:
        made = task.made_head
        if made.after_training_targets is None:
            return made
        return made.after_training_targets(pipeline.all_targets(task, "train", data_dir))

    return TaskHeads(tuple(map(head, tasks)), tuple(len(task.labels) for task in tasks))


class _Run:
    def __init__(
        self,
        tasks: Sequence[Task],
        settings: Settings,
        patch: Patch,
        backbone: backbones.Loaded,
        heads: TaskHeads,
        teacher: loop.Teacher | None,
    ):
        self._tasks, self._settings, self._patch, self._backbone = tasks, settings, patch, backbone
        self._heads, self._teacher = heads, teacher
        key = jax.random.fold_in(jax.random.key(settings.seed), EXTENSION)
        self._weights = patch.extend(key, jax.tree.map(jnp.asarray, backbone.weights))
        _check_learned(patch, self._weights, backbone, settings)
        # What no file could hold is refused now, not when it has been trained.
        edits = packing.task_edits(patch, patch.init(key, self._weights))
        apply_edits(jax.tree.map(np.asarray, self._weights), edits)
        self._network = inference(
            backbone.network, evaluation.EXAMPLES, settings.size, patch.prepare
        )
        self._preprocessing = [
            Preprocessing(
                settings.size,
                backbone.checkpoint.mean,
                backbone.checkpoint.std,
                task.fit,
                task.background,
            )
            for task in tasks
        ]

    def train(
        self,
        directory: pathlib.Path,
        configuration: Mapping[str, object],
        sizes: Sequence[int],
        validations: int,
    ) -> State:
        settings, recipe = self._settings, self._settings.recipe
        checkpoint = self._backbone.checkpoint
        plan = loop.Plan(
            steps=recipe.steps,
            groups=settings.groups,
            seed=settings.seed,
            directory=directory,
            configuration=configuration,
            checkpoint_every=max(recipe.steps // CHECKPOINTS_A_RUN, 1),
            log_every=max(recipe.steps // LOGS_A_RUN, 1),
            validate_every=max(recipe.steps // validations, 1) if validations else None,
        )
        network, pixels = self._backbone.network, (checkpoint.mean, checkpoint.std)
        compiled = trainer(
            network,
            self._patch,
            self._heads,
            recipe,
            pixels,
            Mesh(np.asarray(jax.devices()), ("data",)),
            shared=_shared if settings.train_shared else _nothing,
        )
        if recipe.norm == "calibrated":
            compiled = calibrated(
                compiled, network, self._patch, self._heads, pixels, self._streams("calibration")
            )
        return loop.train(
            compiled,
            self._weights,
            [task.name for task in self._tasks],
            self._streams(),
            scheduler(settings, sizes, [head.kind for head in self._heads.heads]),
            plan,
            self._validate,
            self._teacher,
        )

    def _streams(self, *purpose: str) -> list[pipeline.TrainingIterator]:
        settings = self._settings
        return [
            pipeline.training_iterator(
                task,
                preprocessing,
                settings.examples,
                _seed(settings.seed, task.name, *purpose),
                workers=settings.workers,
                augmentation=settings.augmentation,
                data_dir=settings.data_dir,
                inputs=[need.name for need in self._patch.needs],
            )
            for task, preprocessing in zip(self._tasks, self._preprocessing, strict=True)
        ]

    def _validate(self, state: State) -> dict[str, float]:
        shared = self._shared_weights(state)
        return {
            task.name: scoring.score(
                self._heads.heads[index],
                len(task.labels),
                self._answers(shared, *self._packed(state, index), index, "validation"),
            )
            for index, task in enumerate(self._tasks)
            if "validation" in task.splits
        }

    def finish(self, state: State, directory: pathlib.Path, command: str, test: bool) -> list[Row]:
        """Writes patch files, predictions where labels are hidden, table, plots and CSV."""
        shared = self._shared_weights(state)
        owner = results.shared_backbone(self._backbone, shared, directory)
        splits = ("validation", "test") if test else ("validation",)
        rows = []
        for index, task in enumerate(self._tasks):
            exact = self._packed(state, index)
            edits, head = rounded(*exact, self._settings.encoding)
            answers: dict[str, Answers] = {
                split: self._answers(shared, edits, head, index, split)
                for split in splits
                if split in task.splits
            }
            unrounded = None
            if self._settings.encoding != "float32":
                unrounded = self._answers(shared, *exact, index, "validation")
            kind, known = self._heads.heads[index], answers["validation"]
            if kind.after_validation is not None:
                kind = kind.after_validation(known.predictions, known.targets)
            trained = results.Trained(
                task,
                edits,
                head,
                kind,
                self._preprocessing[index],
                answers,
                dict(self._patch.needs),
                unrounded,
            )
            rows.append(
                results.write_task(trained, owner, self._network, self._settings, directory)
            )
        results.write_summary(rows, directory, self._settings, command)
        return rows

    def _packed(self, state: State, index: int) -> tuple[Edits, Mapping[str, Array]]:
        """A task's edits and head, as trained."""
        edits = packing.task_edits(self._patch, packing.task_params(state, index))
        return edits, packing.task_head(state, self._heads, index)

    def _answers(
        self, shared: Weights, edits: Edits, head: Mapping[str, Array], index: int, split: str
    ) -> Answers:
        return scoring.predict(
            self._network,
            apply_edits(shared, edits),
            head,
            self._tasks[index],
            split,
            self._preprocessing[index],
            self._settings.data_dir,
            [need.name for need in self._patch.needs],
        )

    def _shared_weights(self, state: State) -> Weights:
        return jax.tree.map(np.asarray, with_leaves(self._weights, state.shared))


def _check_outside(directory: pathlib.Path, settings: Settings) -> None:
    for flag, path in (("weights", settings.weights), ("teacher", settings.teacher)):
        inside = pathlib.Path(path).resolve() if path else None
        if inside and (inside == directory.resolve() or directory.resolve() in inside.parents):
            raise SettingError(
                f"--{flag}={path} lies in --out={directory}, which --overwrite would delete: "
                "choose another --out."
            )


def _check_learned(
    patch: Patch, weights: Any, backbone: backbones.Loaded, settings: Settings
) -> None:
    """A preview network that is new has to be trained."""
    added = sum(
        leaf.size
        for path, leaves in weights.items()
        for name, leaf in leaves.items()
        if name not in backbone.weights.get(path, {})
    )
    if added:
        logging.info("the patch adds %s values to the weights that all tasks share", f"{added:,}")
    if added and patch.prepare is not no_look and not settings.train_shared:
        raise SettingError(
            f"--patch={settings.patch} looks at images by {added:,} shared values that nothing "
            "would train: give --train_shared, or --weights of a run that had it."
        )


def _configuration(
    tasks: Sequence[Task], settings: Settings, backbone: backbones.Loaded
) -> dict[str, object]:
    return {
        **dataclasses.asdict(settings),
        "tasks": [f"{task.name} {task.version}" for task in tasks],
        "fingerprint": backbone.fingerprint,
        **({"teachers": teaching.digest(settings, tasks)} if settings.teacher else {}),
        "devices": jax.device_count(),
        "platform": jax.default_backend(),
    }


def _seed(seed: int, *parts: str) -> int:
    """A task's own 32-bit seed, whatever tasks it trains beside."""
    text = " ".join([str(seed), *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _shared(path: str, name: str, leaf: object) -> bool:
    return name not in STATISTICS


def _nothing(path: str, name: str, leaf: object) -> bool:
    return False
