"""What commands that answer about image files, one by one, have in common."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from absl import app

from adapters.experiment.image_paths import image_paths
from launch import command


class Answered(Protocol):
    """What is said of an image file; `fault` is why nothing is, or ""."""

    @property
    def fault(self) -> str: ...


Kind = TypeVar("Kind", bound=Answered)
Model = TypeVar("Model")


def print_each(
    name: str,
    named: str,
    arguments: Sequence[str],
    load: Callable[[], Model] | None,
    answers: Callable[[Model, Sequence[str]], Iterable[Kind]],
    summary: Callable[[Sequence[Kind]], str],
) -> None:
    """Prints a line for each image, faults on standard error, and a summary at the end.

    Args:
      name: of the command.
      named: the flags that name what answers, in words.
      arguments: of the command line; after the first, images.
      load: gives what answers, once the images are known; None where nothing was named.
      answers: about image files, by what was loaded.
      summary: of all that is no fault.

    Raises UsageError without images, or what answers. The exit status is `command.BAD_INPUT` after
    a fault.
    """
    if len(arguments) < 2 or load is None:
        raise app.UsageError(f"give images and {named}: launch/{name} three.png --patch=...")
    images = image_paths(arguments[1:])
    model = load()
    found = []
    for one in answers(model, images):
        print(one, file=sys.stderr if one.fault else sys.stdout, flush=True)
        found.append(one)
    right = [one for one in found if not one.fault]
    print(f"{summary(right)}, {len(found) - len(right)} not answered")
    if len(right) < len(found):
        sys.exit(command.BAD_INPUT)
