"""Which step of a run ships, and how a patch file says so."""

from adapters.store.training_course import Course
from adapters.training.loop import Outcome


def course_of(outcome: Outcome, task: str) -> Course:
    """What the card of a task's patch says of the training it came from."""
    best = outcome.best
    step = best.steps.get(task, outcome.step) if best.leaves is not None else outcome.step
    return Course(step, outcome.step, outcome.end, tuple(outcome.extended))
