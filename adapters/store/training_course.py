"""How the training that a patch came from went: a field of its card."""

import dataclasses
import itertools

from adapters import names
from adapters.store.errors import SchemaError, shown


@dataclasses.dataclass(frozen=True)
class Course:
    """Which step of its training a patch is of, and how far that went.

    Attributes:
      step: how many steps were done when the patch was as it is.
      steps: how many were done in all.
      end: why there were no more, in a word: `steps` (all were done), `minutes` or `patience`.
      extended: after how many steps the training, planned shorter, was extended.

    Raises SchemaError for steps that cannot be.
    """

    step: int
    steps: int
    end: str
    extended: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        numbers = (*self.extended, self.step, self.steps)
        if any(type(number) is not int or not 0 <= number < 2**53 for number in numbers):
            raise SchemaError(f"the training's steps are {list(numbers)}, not all whole numbers")
        for before, after in itertools.pairwise((*self.extended, self.steps)):
            if before > after:
                raise SchemaError(f"the training was extended after step {before} of {after}")
        if self.step > self.steps:
            raise SchemaError(f"the patch is of step {self.step} of {self.steps}")
        if not isinstance(self.end, str) or not self.end.strip():
            raise SchemaError(f"the training's end is {shown(self.end)}, not a text")
        if names.has_control_characters(self.end):
            raise SchemaError(f"the training's end is {shown(self.end)}")


def in_words(course: Course) -> str:
    """The course as a person reads it.

    >>> in_words(Course(600, 800, "patience", (500,)))
    'step 600 of 800, ended by patience, extended after step 500'
    """
    extended = "".join(f", extended after step {step}" for step in course.extended)
    return f"step {course.step} of {course.steps}, ended by {course.end}{extended}"
