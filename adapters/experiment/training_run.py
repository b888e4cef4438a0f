"""A whole run: from settings to trained patches, one file per task."""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from adapters.backbones.builder import Backbone
from adapters.backbones.checkpoint import Weights
from adapters.experiment import (
    assessments,
    backbones,
    computed_once,
    confusions,
    origins,
    output,
    results,
    run_checks,
    schedule,
    starting,
    teaching,
)
from adapters.experiment.calls import fit_call
from adapters.experiment.chosen_tasks import digests, held, identity
from adapters.experiment.opening import EXAMPLES
from adapters.experiment.phrases import vectors, with_phrases
from adapters.experiment.remembered_teacher import remembered
from adapters.experiment.run_scores import RunScores
from adapters.experiment.settings import Settings
from adapters.experiment.shipping import course_of
from adapters.experiment.task_heads import task_heads
from adapters.experiment.training_images import TrainingImages
from adapters.inference.compiled import Answers, Head, Inference, inference
from adapters.native import gradients as native
from adapters.patches.combine import for_heads
from adapters.patches.contract import Patch, PatchParams
from adapters.patches.query_modulation import QUERY
from adapters.patches.registry import for_run, from_spec
from adapters.patches.replacement import leaves_where, with_leaves
from adapters.preprocessing import Preprocessing
from adapters.store.edits import apply_edits
from adapters.store.encoding import rounded
from adapters.store.kinds import Array, Edits
from adapters.training import best, cluster, loop, packing, placement
from adapters.training.assembling import Teacher
from adapters.training.calibration import calibrated
from adapters.training.prefix import Prefix, prefix
from adapters.training.reading import Batches
from adapters.training.recipe import Recipe
from adapters.training.report import Row
from adapters.training.starting import started, with_texts
from adapters.training.state import State, Trainer
from adapters.training.step import trainer
from adapters.training.stopping import Stopping
from adapters.vocabulary import STATISTICS
from tasks import loading
from tasks.inventory import listed
from tasks.shares import with_share
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
) -> list[Row]:
    """Does a `Run` from start to end and returns its rows; takes and raises what that does."""
    whole = Run(tasks, settings, directory, command, resume, overwrite, test)
    for _ in whole:
        pass
    return whole.rows


class Run:
    """Trains the patches of some tasks jointly, writes one patch file each, and scores them.

    To iterate over it is to do it: each step's record comes when the step is done, and after the
    last one the files are written and `rows` has a row of figures per task. A run that is left
    early can be resumed. Of several processes (`adapters.cluster`) the main one alone has the
    folder, validates and writes.

    Attributes:
      rows: figures, by task; empty until the run is done, and on other processes than the main one.
      backbone: that the patches belong to; of a run that trains shared weights, theirs in the end.
    """

    whole_network = False
    """Whether steps need all of it, even where the patch leaves its first blocks as they are."""

    def __init__(
        self,
        tasks: Sequence[Task],
        settings: Settings,
        directory: str | os.PathLike[str],
        command: str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        test: bool = True,
        patch: Patch | None = None,
        called: str | None = None,
        saved: Callable[[], object] = lambda: None,
    ):
        """Loads what the run needs; writes nothing.

        Args:
          tasks: what to learn.
          settings: how.
          directory: where everything goes; see `adapters.experiment.output` for what it may hold.
          command: recorded beside the results; by default the call of `adapters.fit`.
          resume, overwrite: what to do with a run that `directory` holds.
          test: whether to score the test splits too; otherwise nothing of them but their digest is
            taken, so that settings can be chosen by the result.
          patch: what each task trains, where no spec names it; `settings.patch` is then what
            `registry.text_of` says of it.
          called: what results call it, by default `settings.patch`.
          saved: called after each checkpoint, by the main process.
        """
        self.rows: list[Row] = []
        norm = settings.recipe.norm
        self._patch = for_run(patch, norm) if patch else from_spec(settings.patch, norm)
        tasks = with_phrases(tasks, settings.phrases, self._patch)
        tasks = with_share(tasks, settings.share, settings.seed)
        self._tasks, self._settings, self._directory = tasks, settings, pathlib.Path(directory)
        self._command = command or fit_call([task.name for task in tasks], settings)
        self._resume, self._overwrite = resume, overwrite
        self._test, self._saved = test, saved
        self._called = called or settings.patch
        self.backbone = backbones.load(settings.backbone, settings.weights)
        run_checks.check_tasks(tasks, settings, dict(self._patch.needs))
        if settings.recipe.native_gradients:
            native.check(placement.all_devices())
        run_checks.warn_of_lost_classes(tasks, settings)
        self._inventories = {
            task.name: known for task in tasks if (known := loading.inventory(task)) is not None
        }
        self._sizes = [loading.task_size(task, "train", settings.data_dir) for task in tasks]
        self._held = held(tasks, settings.data_dir)
        self._heads = task_heads(tasks, settings.data_dir, settings.balance)
        pixels = settings.sizes(tasks)
        run_checks.check_neck(self.backbone, self._heads)
        table = self.backbone.network.table
        self._patch = for_heads(self._patch, table, self._heads.taps)
        if overwrite:
            run_checks.check_outside(self._directory, settings)
        self._teacher = teaching.teacher(settings, tasks)
        self._matched = teaching.matched(settings, tasks, self._teacher, self.backbone.network)
        self._first, first = None, {}
        if settings.from_patch:
            self._first, digest = starting.read(settings.from_patch, self.backbone)
            first = {"first": digest}
        key = jax.random.fold_in(jax.random.key(settings.seed), EXTENSION)
        self._weights = self._patch.extend(key, jax.tree.map(jnp.asarray, self.backbone.weights))
        run_checks.check_learned(self._patch, self._weights, self.backbone, settings)
        # What no file could hold is refused now, not when it has been trained.
        # As one program: by itself, each shape of random numbers would be one.
        params = jax.jit(self._patch.init)(key, self._weights)
        facts = schedule.facts(settings, tasks, self._sizes, self._heads)
        self._sampler = schedule.sampler(settings, facts)
        self._scheduling = schedule.scheduling(
            settings, facts, leaves_where(self._shared, self._weights)
        )
        edits = packing.task_edits(self._patch, params)
        self._untrained = apply_edits(jax.tree.map(np.asarray, self._weights), edits)
        self._configuration = {
            **dataclasses.asdict(settings),
            **identity(tasks, self._held),
            "fingerprint": self.backbone.fingerprint,
            **({"parameters": _structure(params)} if patch and not patch.spec else {}),
            **({"reference values": list(facts.references)} if facts.references else {}),
            **({"teachers": teaching.digest(settings, tasks)} if settings.teacher else {}),
            **first,
            "devices": jax.device_count(),
            "platform": jax.default_backend(),
        }
        self._preprocessing = [
            Preprocessing(
                size,
                self.backbone.checkpoint.mean,
                self.backbone.checkpoint.std,
                task.fit,
                task.background,
            )
            for task, size in zip(tasks, pixels, strict=True)
        ]
        inputs = [need.name for need in self._patch.needs]
        self._scores = RunScores(
            self._compiled(set(pixels)),
            *(tasks, self._heads, self._preprocessing, inputs, settings.data_dir),
            self._untrained,
        )
        self._images = TrainingImages(
            *(tasks, settings, self._preprocessing, self._sizes, inputs),
            *(self.backbone, self._weights, self._prefix, self._directory),
        )

    @property
    def networks(self) -> dict[int, Inference]:
        """The compiled ones that score the patches, by the size of their images."""
        return self._scores.networks

    def __iter__(self) -> Iterator[loop.Record]:
        """Does the run, or the rest of one that is resumed.

        Raises:
          OutputFolderError: the folder is not empty, and what it holds is not to be touched.
          ConfigurationMismatchError: the run to resume had other settings.
          DivergedError: a loss is not finite.
          StoppedError: SIGTERM or SIGINT came; a checkpoint of the last whole step was written.
        """
        member = cluster.current()
        member.check_same(self._configuration)
        with contextlib.ExitStack() as held:
            member.by_main(lambda: held.enter_context(self._begun()))
            outcome = yield from self._train()
            outcome = outcome._replace(state=placement.local(outcome.state))
            with cluster.together():
                member.by_main(lambda: self.rows.extend(self._finish(outcome)))

    @contextlib.contextmanager
    def _begun(self) -> Iterator[None]:
        """Holds the output folder, having said what the run is of."""
        with output.claimed(
            self._directory, self._configuration, self._resume, self._overwrite, extensible=True
        ):
            for task, size in zip(self._tasks, self._sizes, strict=True):
                known = self._inventories.get(task.name)
                images = known.summary if known else f"{size} training images"
                if known and self._settings.share < 1:
                    images += f", of which {size} train"
                logging.info("%s: %s, %s", task.name, listed(task.labels, "label"), images)
            results.write_inventories(self._inventories, self._directory)
            origins.write(self._tasks, self._directory)
            yield

    def _train(self) -> Generator[loop.Record, None, loop.Outcome]:
        settings, recipe = self._settings, self._settings.recipe
        if self.backbone.untrained and not settings.train_shared:
            recipe = dataclasses.replace(recipe, shared_rate=recipe.head_rate)
        checkpoint, often = self.backbone.checkpoint, settings.validations
        every = max(recipe.steps // often, 1) if often else None
        plan = loop.Plan(
            steps=recipe.steps,
            groups=settings.groups,
            seed=settings.seed,
            directory=self._directory,
            configuration=self._configuration,
            checkpoint_every=max(recipe.steps // CHECKPOINTS_A_RUN, 1),
            log_every=max(recipe.steps // LOGS_A_RUN, 1),
            validate_every=every,
            workers=0 if self._images.kept else settings.workers,
            stopping=Stopping(settings.patience, settings.minutes),
            keeps_best=settings.ships_best,
            saved=self._saved,
        )
        return loop.records(
            self._trainer(recipe, (checkpoint.mean, checkpoint.std)),
            self._weights,
            [task.name for task in self._tasks],
            self._batches(),
            self._sampler,
            plan,
            self._validate,
            self._taught(),
        )

    def _trainer(
        self, recipe: Recipe, pixels: tuple[tuple[float, ...], tuple[float, ...]]
    ) -> Trainer:
        network, begun = self._training_network, self._prefix
        compiled = trainer(
            begun.rest if begun else network,
            self._patch,
            self._heads,
            recipe,
            None if begun else pixels,
            placement.all_devices(),
            self._shared,
            self._scheduling,
            self._matched,
        )
        if self._patch.reads_texts:
            (numbers,) = dict(self._patch.needs)[QUERY]
            compiled = with_texts(compiled, vectors(self._tasks, numbers))
        first = self._first
        finished = starting.of_patch(first) if first else starting.of_backbone(self.backbone)
        if finished is not None:
            rows = starting.kept_rows(finished, self._tasks, self._heads)
            edits = first.edits if first else None
            compiled = started(compiled, self._patch, self._heads, edits, rows)
        if recipe.norm == "calibrated":
            return calibrated(
                compiled,
                network,
                self._patch,
                self._heads,
                pixels,
                self._batches("calibration"),
            )
        return compiled

    def _taught(self) -> Teacher | None:
        """The teacher, asked beforehand where every image comes more than once as it is."""
        settings = self._settings
        images = settings.recipe.steps * settings.groups * settings.examples
        again = settings.augmentation == "none" and images > sum(self._sizes)
        if self._teacher is None or not again:
            return self._teacher
        logging.info("the teacher is asked of all %d training images", sum(self._sizes))
        return remembered(self._teacher, self._batches(), self._sizes)

    def _batches(self, *purpose: str, part: int = 0, parts: int = 1) -> list[Batches]:
        """Of every task, its training images, or one of `parts` of them, for a purpose."""
        return self._images.batches(*purpose, part=part, parts=parts)

    @property
    def _training_network(self) -> Backbone:
        """The backbone's network, as steps compute it."""
        return self.backbone.network

    @functools.cached_property
    def _prefix(self) -> Prefix | None:
        """The part of the network that is computed once an image, if that can be."""
        settings, images = self._settings, sum(self._sizes)
        shared = any(leaves_where(self._shared, self._weights).values())
        if (
            self.whole_network
            or shared
            or not computed_once.come_again(settings, self._tasks, self._sizes)
            or not computed_once.may_begin_later(settings, self._tasks)
        ):
            return None
        found = prefix(
            *(self.backbone.network, self._patch, self._weights, self._heads.taps),
            self._preprocessing[0].size,
        )
        return found if found and computed_once.is_small(found, images) else None

    def _validate(self, state: State) -> dict[str, float]:
        shared = self._shared_weights(state)

        def patched(index: int) -> tuple[Weights, Head]:
            edits, head = self._packed(state, index)
            return apply_edits(shared, edits), head

        scores = self._scores.validation(patched, self._directory)
        recipe, step = self._settings.recipe, int(state.step)
        if jax.tree.leaves(state.patches.trained) and step > recipe.warmup * recipe.steps:
            self._scores.compare_with_classifiers_alone(step, scores)
        return scores

    def _finish(self, outcome: loop.Outcome) -> list[Row]:
        """Writes patch files, predictions where labels are hidden, table, plots and CSV."""
        names = [task.name for task in self._tasks]
        state = best.shipped(outcome.best, outcome.state, names, self._heads)
        shared = self._shared_weights(state)
        self.backbone = results.shared_backbone(self.backbone, shared, self._directory)
        splits = ("validation", "test") if self._test else ("validation",)
        rows, confused = [], {}
        for index, task in enumerate(self._tasks):
            exact = self._scaled(shared, *self._packed(state, index), index)
            edits, head = rounded(*exact, self._settings.encoding)
            weights = apply_edits(shared, edits)
            answers: dict[str, Answers] = {
                split: self._scores.answers(index, split, weights, head)
                for split in splits
                if split in task.splits
            }
            unrounded = None
            if self._settings.encoding != "float32":
                whole, whole_head = apply_edits(shared, exact[0]), exact[1]
                unrounded = self._scores.answers(index, "validation", whole, whole_head)
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
                digests(self._held[index]),
                course_of(outcome, task.name),
                unrounded,
            )
            rows.append(
                results.write_task(
                    trained,
                    self.backbone,
                    self._scores.network(index),
                    self._settings,
                    self._directory,
                )
            )
            scored = list(rows[-1].figures)[-1]
            confused[task.name] = scored, assessments.assessed(kind, task.labels, answers[scored])
        confusions.write(self._directory, confused)
        sizes = [how.size for how in self._preprocessing]
        results.write_summary(
            rows, sizes, self._directory, self._settings, self._called, self._command
        )
        return rows

    def _packed(self, state: State, index: int) -> tuple[Edits, Mapping[str, Array]]:
        """A task's edits and head, as trained."""
        edits = packing.task_edits(self._patch, packing.task_params(state, index))
        return edits, packing.task_head(state, self._heads, index)

    def _scaled(
        self, shared: Weights, edits: Edits, head: Mapping[str, Array], index: int
    ) -> tuple[Edits, Mapping[str, Array]]:
        """A task's edits and head, its probabilities made right on validation if that is wanted."""
        scaled = self._heads.heads[index].scaled
        if not self._settings.temperature_scaling or scaled is None:
            return edits, head
        known = self._scores.answers(index, "validation", apply_edits(shared, edits), head)
        return edits, scaled(head, known.predictions, known.targets)

    def _compiled(self, sizes: Iterable[int]) -> dict[int, Inference]:
        """The backbone's network that scores patches, by the size of its images."""
        return {
            size: inference(
                self.backbone.network, EXAMPLES, size, self._patch.prepare, self._heads.taps
            )
            for size in sorted(sizes)
        }

    def _shared(self, path: str, name: str, leaf: object) -> bool:
        """Whether a shared leaf is trained: every one, or those of a neck that is new."""
        wanted = self._settings.train_shared or path in self.backbone.untrained
        return wanted and name not in STATISTICS

    def _shared_weights(self, state: State) -> Weights:
        return jax.tree.map(np.asarray, with_leaves(self._weights, state.shared))


def _structure(params: PatchParams) -> str:
    """A digest of which parameters a patch has: what is known of one that no spec names."""
    leaves = [
        f"{jax.tree_util.keystr(path)} {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(params)
    ]
    return hashlib.sha256("\n".join(leaves).encode()).hexdigest()
