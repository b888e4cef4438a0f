"""The heads of a run's tasks, made ready for the targets that they will learn."""

import dataclasses
from collections.abc import Sequence

from adapters.experiment.settings import SettingError
from adapters.heads.contract import Head, TargetError
from adapters.heads.registry import from_spec
from adapters.heads.together import TaskHeads
from tasks import pipeline
from tasks.task import Task


def with_head(tasks: Sequence[Task], head: str | None) -> tuple[Task, ...]:
    """The tasks, of which those with a head of the kind of `head` have that one instead.

    Raises SettingError where there is none.
    """
    if head is None:
        return tuple(tasks)
    kind = from_spec(head).kind
    if all(task.made_head.kind != kind for task in tasks):
        kinds = ", ".join(sorted({task.made_head.kind for task in tasks}))
        raise SettingError("head", f"is {head}, and the tasks' heads are of another kind: {kinds}.")
    return tuple(
        dataclasses.replace(task, head=head) if task.made_head.kind == kind else task
        for task in tasks
    )


def task_heads(tasks: Sequence[Task], data_dir: str | None, balance: str = "none") -> TaskHeads:
    """The heads of `tasks`, with what they have to know of the training split's targets.

    Raises TargetError where a head cannot learn them, and SettingError where it has no classes to
    balance.
    """

    def head(task: Task) -> Head:
        made = task.made_head
        if balance == "classes":
            if made.balanced is None:
                raise SettingError(
                    "balance",
                    "is classes, which is of heads that give an image one; that of task "
                    f"{task.name} predicts {made.kind}. Train it in a run of its own, with none.",
                )
            return made.balanced(pipeline.all_targets(task, "train", data_dir), len(task.labels))
        if made.after_training_targets is None:
            return made
        try:
            return made.after_training_targets(pipeline.all_targets(task, "train", data_dir))
        except TargetError as error:
            raise TargetError(f"task {task.name}: {error}") from error

    return TaskHeads(tuple(map(head, tasks)), tuple(len(task.labels) for task in tasks))
