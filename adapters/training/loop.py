"""The training loop: resumable to the bit, stoppable at any step, a record of each step.

What a step gave stays on the device for `LAG` steps, so that the host makes the next batches while
the device computes. Records come that much later, or as soon as something is logged, validated or
saved; a sampler gets a step's figures exactly `LAG` steps late, so that its choices depend on
nothing else.
"""

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from adapters.errors import ModelPatchError
from adapters.heads.together import TaskHeads
from adapters.patches.contract import Weights
from adapters.scheduling.contract import Sampler
from adapters.training import best as best_steps
from adapters.training import checkpoint
from adapters.training.best import Best
from adapters.training.extension import is_extended
from adapters.training.interrupt import StoppedError, interruptible
from adapters.training.metrics import MetricsWriter
from adapters.training.progress import Progress
from adapters.training.report import named, one_score
from adapters.training.step import Batch, Metrics, State, Trainer
from adapters.training.stopping import End, Stopping

CHECKPOINTS = "checkpoints"
LAG = 2  # steps


class Stream(Protocol):
    """A task's endless training batches: {"image": [E, H, W, 3] uint8}, and inputs and targets."""

    def __next__(self) -> Mapping[str, np.ndarray]: ...

    def get_state(self) -> Any: ...

    def set_state(self, state: Any) -> None: ...


Teacher = Callable[[int, np.ndarray], np.ndarray]
"""(task, images [E, H, W, 3] uint8) -> what a student learns of them, [E, outputs]."""


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
    """

    state: State
    step: int
    end: End
    best: Best
    extended: Sequence[int]


def train(
    trainer: Trainer,
    weights: Weights,
    tasks: Sequence[str],
    streams: Sequence[Stream],
    sampler: Sampler,
    plan: Plan,
    validate: Callable[[State], Mapping[str, float]],
    teacher: Teacher | None = None,
) -> Outcome:
    """Runs all steps of `records`, and returns what came of them.

    Takes and raises what `records` does.
    """
    steps = records(trainer, weights, tasks, streams, sampler, plan, validate, teacher)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def records(
    trainer: Trainer,
    weights: Weights,
    tasks: Sequence[str],
    streams: Sequence[Stream],
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
      streams: one a task.
      sampler: chooses each step's tasks.
      plan: everything else.
      validate: gives each task's validation metric, by name.
      teacher: whose probabilities are learned, if any.

    Returns:
      What came of the run (of a generator: the value of `yield from`).

    Raises:
      DivergedError: a loss is not finite.
      StoppedError: SIGTERM or SIGINT came; a checkpoint of the last whole step was written.
      ConfigurationMismatchError: the directory's checkpoint belongs to other settings or data.
      DamagedCheckpointError: the directory has checkpoints, and none can be read.
    """
    key = jax.random.key(plan.seed)
    state = trainer.init(jax.random.fold_in(key, 0), weights)
    step_key = jax.random.fold_in(key, 1)
    sampled: Mapping[str, Any] = sampler.init()
    pending: collections.deque[_Pending] = collections.deque()
    unfed: collections.deque[tuple[int, dict[int, dict[str, float]]]] = collections.deque()
    folder = plan.directory / CHECKPOINTS
    start, best, seconds, extended, told = None, Best(), 0.0, list[int](), ""
    started = plan.stopping.clock()
    if checkpoint.latest(folder) is not None:
        template = state, best_steps.stored(best, state) if plan.keeps_best else None
        restored = checkpoint.restore(folder, template, plan.configuration)
        start, seconds = restored.step, restored.host["seconds"]
        (state, leaves), sampled = restored.arrays, restored.host["sampler"]
        best = Best.from_json(restored.host["best"], leaves)
        extended += restored.host["extended"]
        if is_extended(restored.configuration, plan.configuration):
            best, extended = dataclasses.replace(best, without=0), [*extended, start]
            told = f"step {start}: rates take the course of {plan.steps} steps from here on"
        unfed.extend((step, dict(map(_unlisted, own))) for step, own in restored.host["unfed"])
        for stream, position in zip(streams, restored.host["streams"], strict=True):
            stream.set_state(position)

    def save(step: int) -> None:
        host = {
            "sampler": sampled,
            "unfed": [[number, list(map(list, own.items()))] for number, own in unfed],
            "streams": [stream.get_state() for stream in streams],
            "best": best.to_json(),
            "extended": extended,
            "seconds": seconds + plan.stopping.clock() - started,
        }
        arrays = state, best_steps.stored(best, state) if plan.keeps_best else None
        checkpoint.save(folder, step, arrays, host, plan.configuration)

    def end(done: int) -> End | None:
        spent = seconds + plan.stopping.clock() - started
        return plan.stopping.end(plan.steps - done, best.without, spent)

    def read(one: _Pending) -> Record:
        figures = _by_task(one.tasks, one.metrics)
        unfed.append((one.step, figures))
        named = {tasks[task]: values for task, values in figures.items()}
        losses = {task: values["loss"] for task, values in named.items()}
        _check_finite(losses, one.step)
        progress.update(one.step, one.images, losses)
        if one.step % plan.log_every == 0:
            writer.write(one.step, _tagged("train", tasks, figures))
        return Record(one.step, named, {})

    with (
        interruptible() as interrupt,
        MetricsWriter(plan.directory, start) as writer,
        Progress(plan.steps, start or 0) as progress,
    ):
        step, ended = start or 0, None if start is None else end(start)
        if told:
            progress.message(told)
        while not ended:
            while unfed and unfed[0][0] <= step - LAG:
                sampled = sampler.feedback(sampled, unfed.popleft()[1])
            chosen, sampled = sampler.next(sampled, plan.seed, step, plan.groups)
            batch = _batch(chosen, streams, trainer.heads, teacher)
            state, metrics = trainer.step(state, weights, batch, step_key, step)
            done = step + 1
            ended = end(done)
            images = math.prod(batch.inputs["image"].shape[:2])
            pending.append(_Pending(done, chosen, images, metrics))
            # Asked once: a signal that comes later is this step's no more.
            reason = interrupt.reason
            saves = bool(reason) or done % plan.checkpoint_every == 0
            validates = bool(plan.validate_every) and (
                bool(ended) or done % (plan.validate_every or 1) == 0
            )
            now = saves or validates or bool(ended) or done % plan.log_every == 0
            ready = []
            while len(pending) > (0 if now else LAG):
                ready.append(read(pending.popleft()))
            if validates:
                scores = validate(state)
                writer.write(done, _scored(tasks, trainer.heads, scores))
                progress.message(_summary(done, tasks, trainer.heads, scores))
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
    return Outcome(state, step, ended, best, extended)


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


def _batch(
    chosen: np.ndarray, streams: Sequence[Stream], heads: TaskHeads, teacher: Teacher | None
) -> Batch:
    inputs, targets = [], []
    for task in map(int, chosen):
        part = dict(next(streams[task]))
        known = {name: part.pop(name) for name in heads.heads[task].targets}
        if teacher is not None:
            known["teacher"] = teacher(task, part["image"])
        inputs.append(part)
        targets.append(heads.placed(task, known))
    return Batch(chosen, _stacked(inputs), _stacked(targets))


def _stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def _by_task(tasks: np.ndarray, metrics: Metrics) -> dict[int, dict[str, float]]:
    """Means over each present task's groups."""
    by_group = {"loss": np.asarray(metrics.loss)}
    by_group |= {name: np.asarray(values) for name, values in metrics.figures.items()}
    return {
        int(task): {name: float(each[tasks == task].mean()) for name, each in by_group.items()}
        for task in np.unique(tasks)
    }


def _check_finite(losses: Mapping[str, float], step: int) -> None:
    odd = [task for task, loss in losses.items() if not math.isfinite(loss)]
    if odd:
        raise DivergedError(
            f"the loss of {', '.join(odd)} is not finite after step {step}: start again with lower "
            "learning rates (patch_rate, head_rate, shared_rate).",
            settings=["patch_rate", "head_rate", "shared_rate"],
        )


def _tagged(
    who: str, tasks: Sequence[str], figures: Mapping[int, Mapping[str, float]]
) -> dict[str, float]:
    return {
        f"{who}/{name}/{tasks[task]}": value
        for task, values in figures.items()
        for name, value in values.items()
    }


def _scored(
    tasks: Sequence[str], heads: TaskHeads, scores: Mapping[str, float]
) -> dict[str, float]:
    metrics = _metrics(tasks, heads)
    return {f"validation/{metrics[task]}/{task}": score for task, score in scores.items()}


def _summary(step: int, tasks: Sequence[str], heads: TaskHeads, scores: Mapping[str, float]) -> str:
    metrics = _metrics(tasks, heads)
    metric = one_score(metrics.values())
    if metric is None:
        own = (f"{named(task, metrics[task])} {100 * score:.1f}" for task, score in scores.items())
        return f"step {step}: validation in %: {', '.join(own)}"
    mean = sum(scores.values()) / len(scores)
    each = ", ".join(f"{task} {100 * score:.1f}" for task, score in scores.items())
    return f"step {step}: validation {metric} {100 * mean:.2f} % ({each})"


def _metrics(tasks: Sequence[str], heads: TaskHeads) -> dict[str, str]:
    """What each task is scored by."""
    return {task: head.metric.score for task, head in zip(tasks, heads.heads, strict=True)}
