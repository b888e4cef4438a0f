"""The training loop: resumable to the bit, stoppable at any step, a record of each step.

What a step gave stays on the device for `LAG` steps, so that the host makes the next batches while
the device computes. Records come that much later, or as soon as something is logged, validated or
saved; a sampler gets a step's figures exactly `LAG` steps late, so that its choices depend on
nothing else.

Several processes run it together (`cluster`): each trains its own groups, and the main one alone
writes and validates.
"""

import collections
import contextlib
import dataclasses
import math
import os
import pathlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from adapters.errors import ModelPatchError
from adapters.patches.contract import Weights
from adapters.scheduling.contract import Sampler
from adapters.training import best as best_steps
from adapters.training import checkpoint, cluster, placement, step_figures
from adapters.training.assembling import Teacher, assembled
from adapters.training.best import Best
from adapters.training.extension import is_extended
from adapters.training.interrupt import StoppedError, interruptible
from adapters.training.metrics import MetricsWriter
from adapters.training.progress import Progress
from adapters.training.reading import Batches, Reader
from adapters.training.state import Metrics, State, Trainer
from adapters.training.stopping import End, Stopping

CHECKPOINTS = "checkpoints"
LAG = 2  # steps


class DivergedError(ModelPatchError):
    """A loss is no longer a finite number."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the loop does beside stepping.

    Attributes:
      steps: of the whole run.
      groups: task groups in a step.
      seed: of the task choice and of every key.
      directory: for checkpoints and metrics.
      configuration: JSON settings that define the run; a resumed one must have the same.
      checkpoint_every, log_every: in steps.
      validate_every: in steps, and after the last one; None: never.
      stopping: when the run ends before its steps are done.
      keeps_best: whether what each task had trained at its best step is kept.
      workers: processes that decode images; 0: threads.
      saved: called after each checkpoint, on the process that writes it.
    """

    steps: int
    groups: int
    seed: int
    directory: pathlib.Path
    configuration: Mapping[str, Any]
    checkpoint_every: int
    log_every: int
    validate_every: int | None
    stopping: Stopping = dataclasses.field(default_factory=Stopping)
    keeps_best: bool = False
    workers: int = 0
    saved: Callable[[], object] = lambda: None


class Record(NamedTuple):
    """What one step gave.

    Attributes:
      step: how many steps are done with it.
      figures: {task: {name: value}} of the tasks that it trained, on the images that it trained
        them on: `loss`, and what their heads tell beside it, `accuracy` say.
      scores: each task's metric on validation, where this step was followed by one.
    """

    step: int
    figures: Mapping[str, Mapping[str, float]]
    scores: Mapping[str, float]

    @property
    def losses(self) -> dict[str, float]:
        """The losses alone, by task."""
        return {task: own["loss"] for task, own in self.figures.items()}


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
      state: after the last step.
      step: how many were done.
      end: why there were no more.
      best: each task's best step by validation.
      extended: after how many steps the run, then planned shorter, was extended.
      waited: share of the time, since the run was begun or resumed, in which it waited for images.
    """

    state: State
    step: int
    end: End
    best: Best
    extended: Sequence[int]
    waited: float


def train(
    trainer: Trainer,
    weights: Weights,
    tasks: Sequence[str],
    batches: Sequence[Batches],
    sampler: Sampler,
    plan: Plan,
    validate: Callable[[State], Mapping[str, float]],
    teacher: Teacher | None = None,
) -> Outcome:
    """Runs all steps of `records`, and returns what came of them.

    Takes and raises what `records` does.
    """
    steps = records(trainer, weights, tasks, batches, sampler, plan, validate, teacher)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def records(
    trainer: Trainer,
    weights: Weights,
    tasks: Sequence[str],
    batches: Sequence[Batches],
    sampler: Sampler,
    plan: Plan,
    validate: Callable[[State], Mapping[str, float]],
    teacher: Teacher | None = None,
) -> Generator[Record, None, Outcome]:
    """Runs `plan.steps` steps, from the directory's last checkpoint when it has one.

    A step's record comes when what belongs to the step is written. Whoever asks for no further one
    loses the steps after the last checkpoint.

    A run whose checkpoint was planned for fewer steps is extended: rates and whatever else follows
    the share of the run that is done take from there on the course of the longer run, without a
    warm-up of their own, and patience begins anew.

    Args:
      trainer: the compiled functions.
      weights: of the backbone, shared by all tasks.
      tasks: their names, in the order of the tables' rows.
      batches: of each task.
      sampler: chooses each step's tasks.
      plan: everything else.
      validate: gives each task's validation metric, by name.
      teacher: who is learned from, if anybody.

    Returns:
      What came of the run (of a generator: the value of `yield from`).

    Raises:
      DivergedError: a loss is not finite.
      StoppedError: SIGTERM or SIGINT came; a checkpoint of the last whole step was written.
      ConfigurationMismatchError: the directory's checkpoint belongs to other settings or data.
      DamagedCheckpointError: the directory has checkpoints, and none can be read.
      MainProcessError, ProcessLostError: another process of the run failed, or is gone.
    """
    with cluster.together():
        return (
            yield from _records(trainer, weights, tasks, batches, sampler, plan, validate, teacher)
        )


def _records(
    trainer: Trainer,
    weights: Weights,
    tasks: Sequence[str],
    batches: Sequence[Batches],
    sampler: Sampler,
    plan: Plan,
    validate: Callable[[State], Mapping[str, float]],
    teacher: Teacher | None,
) -> Generator[Record, None, Outcome]:
    member, mesh = cluster.current(), trainer.mesh
    agreed = cluster.Agreement(mesh)
    key = jax.random.key(plan.seed)
    weights = placement.copied(mesh, weights)
    state = trainer.init(placement.copied(mesh, jax.random.fold_in(key, 0)), weights)
    state = placement.copied(mesh, state)
    step_key = placement.copied(mesh, jax.random.fold_in(key, 1))
    sampled: Mapping[str, Any] = sampler.init()
    pending: collections.deque[_Pending] = collections.deque()
    unfed: collections.deque[tuple[int, dict[int, dict[str, float]]]] = collections.deque()
    folder = plan.directory / CHECKPOINTS
    reader = Reader(batches, placement.own_groups(mesh, plan.groups), plan.steps, plan.workers)
    start, best, seconds, extended, told = None, Best(), 0.0, list[int](), ""
    started = plan.stopping.clock()
    template = state, best_steps.stored(best, state) if plan.keeps_best else None
    if (restored := _restored(folder, template, plan)) is not None:
        start, seconds = restored.step, restored.host["seconds"]
        (state, leaves), sampled = restored.arrays, restored.host["sampler"]
        state = placement.copied(mesh, state)
        best = Best.from_json(restored.host["best"], leaves)
        extended += restored.host["extended"]
        if is_extended(restored.configuration, plan.configuration):
            best, extended = dataclasses.replace(best, without=0), [*extended, start]
            told = f"step {start}: rates take the course of {plan.steps} steps from here on"
        unfed.extend((step, dict(map(_unlisted, own))) for step, own in restored.host["unfed"])
        reader.go_on(restored.host["taken"])

    def save(step: int) -> None:
        host = {
            "sampler": sampled,
            "unfed": [[number, list(map(list, own.items()))] for number, own in unfed],
            "taken": reader.taken.tolist(),
            "best": best.to_json(),
            "extended": extended,
            "seconds": spent(),
        }
        arrays = state, best_steps.stored(best, state) if plan.keeps_best else None
        own = placement.local(arrays)

        def write() -> None:
            checkpoint.save(folder, step, own, host, plan.configuration)
            plan.saved()

        member.by_main(write)

    def spent() -> float:
        return seconds + plan.stopping.clock() - started

    def end(done: int) -> End | None:
        return plan.stopping.end(plan.steps - done, best.without, heard())

    def validated() -> Mapping[str, float]:
        own = placement.local(state)
        return member.by_main(lambda: {task: float(one) for task, one in validate(own).items()})

    def log(step: int, values: Mapping[str, float]) -> None:
        if writer is not None:
            writer.write(step, values)

    def foreseen(step: int) -> np.ndarray:
        return sampler.next(sampled, plan.seed, step, plan.groups)[0]

    def read(one: _Pending) -> Record:
        figures = step_figures.by_task(one.tasks, one.metrics)
        unfed.append((one.step, figures))
        named = {tasks[task]: values for task, values in figures.items()}
        losses = {task: values["loss"] for task, values in named.items()}
        _check_finite(losses, one.step)
        progress.update(one.step, one.images, losses)
        if one.step % plan.log_every == 0:
            log(one.step, step_figures.trained(tasks, figures))
        return Record(one.step, named, {})

    with (
        interruptible() as interrupt,
        MetricsWriter(plan.directory, start) if member.main else contextlib.nullcontext() as writer,
        Progress(plan.steps, start or 0, enabled=member.main) as progress,
        reader,
    ):
        began, waited = time.monotonic(), 0.0
        step, heard = start or 0, spent if member.count == 1 else lambda: seconds
        ended = None if start is None else end(start)
        if told:
            progress.message(told)
        while not ended:
            while unfed and unfed[0][0] <= step - LAG:
                sampled = sampler.feedback(sampled, unfed.popleft()[1])
            chosen, sampled = sampler.next(sampled, plan.seed, step, plan.groups)
            asked = time.monotonic()
            parts = reader.read(step, chosen, foreseen)
            waited += time.monotonic() - asked
            batch = assembled(chosen, parts, reader.own, trainer.heads, teacher)
            state, metrics = trainer.step(state, weights, batch, step_key, step)
            done = step + 1
            # Asked once: a signal that comes later is this step's no more.
            reason, heard = agreed(interrupt.reason, spent)
            ended = end(done)
            images = len(chosen) * batch.inputs["image"].shape[1]
            pending.append(_Pending(done, chosen, images, metrics))
            saves = bool(reason) or done % plan.checkpoint_every == 0
            validates = bool(plan.validate_every) and (
                bool(ended) or done % (plan.validate_every or 1) == 0
            )
            now = saves or validates or bool(ended) or done % plan.log_every == 0
            ready = []
            while len(pending) > (0 if now else LAG):
                ready.append(read(pending.popleft()))
            if validates:
                scores = validated()
                log(done, step_figures.scored(tasks, trainer.heads, scores))
                progress.message(step_figures.summary(done, tasks, trainer.heads, scores))
                ready[-1] = ready[-1]._replace(scores=scores)
                best = best_steps.updated(
                    best, scores, state, done, tasks, trainer.heads, plan.keeps_best
                )
                ended = ended or end(done)
            if saves or ended:
                save(done)
            yield from ready
            if reason and not ended:
                raise StoppedError(
                    f"{reason} stopped the run after step {done} of {plan.steps}; its state is in "
                    f"{os.fspath(folder)}. Resume it to go on.",
                    settings=["resume"],
                )
            step = done
            if ended and ended != "steps":
                progress.message(f"step {step}: the run is over, by its {ended}")
        waited /= max(time.monotonic() - began, 1e-9)
        progress.message(f"step {step}: it waited for images {100 * waited:.1f} % of the time")
    return Outcome(state, step, ended, best, extended, waited)


class _Pending(NamedTuple):
    """A step whose figures are still on the device."""

    step: int
    tasks: np.ndarray
    images: int
    metrics: Metrics


def _unlisted(pair: Sequence[Any]) -> tuple[int, dict[str, float]]:
    """A task and its figures, as JSON has kept them."""
    task, figures = pair
    return int(task), dict(figures)


def _restored(folder: pathlib.Path, template: Any, plan: Plan) -> checkpoint.Restored | None:
    """The last checkpoint, if there is one: the main process reads it and tells the others."""
    member, own, found = cluster.current(), placement.local(template), None

    def read() -> list[Any] | None:
        nonlocal found
        if checkpoint.latest(folder) is None:
            return None
        found = checkpoint.restore(folder, own, plan.configuration)
        return [found.step, found.host, found.configuration]

    if (told := member.by_main(read)) is None:
        return None
    step, host, configuration = told
    arrays = member.from_main(own if found is None else found.arrays)
    return checkpoint.Restored(step, arrays, host, configuration)


def _check_finite(losses: Mapping[str, float], step: int) -> None:
    odd = [task for task, loss in losses.items() if not math.isfinite(loss)]
    if odd:
        raise DivergedError(
            f"the loss of {', '.join(odd)} is not finite after step {step}: start again with lower "
            "learning rates (patch_rate, head_rate, shared_rate).",
            settings=["patch_rate", "head_rate", "shared_rate"],
        )
