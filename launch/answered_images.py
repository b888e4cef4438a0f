"""What commands that answer about image files, one by one, have in common."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from absl import app

import adapters
from adapters.experiment.image_paths import image_paths
from adapters.experiment.predictor import Predictor
from launch import command


class Answered(Protocol):
    """What is said of an image file; `fault` is why nothing is, or ""."""

    @property
    def fault(self) -> str: ...


Kind = TypeVar("Kind", bound=Answered)


def print_each(
    name: str,
    arguments: Sequence[str],
    patch: str | None,
    weights: str | None,
    answers: Callable[[Predictor, Sequence[str]], Iterable[Kind]],
    summary: Callable[[Sequence[Kind]], str],
) -> None:
    """Prints a line for each image, faults on standard error, and a summary at the end.

    Args:
      name: of the command.
      arguments: of the command line; after the first, images.
      patch: path of a patch file.
      weights: of its backbone, if it brings none.
      answers: about image files, by a patch.
      summary: of all that is no fault.

    Raises UsageError without images or patch. The exit status is `command.BAD_INPUT` after a fault.
    """
    if len(arguments) < 2 or not patch:
        raise app.UsageError(f"give images and --patch: launch/{name} three.png --patch=...")
    images = image_paths(arguments[1:])
    predictor = adapters.load(patch, weights=weights)
    found = []
    for one in answers(predictor, images):
        print(one, file=sys.stderr if one.fault else sys.stdout, flush=True)
        found.append(one)
    right = [one for one in found if not one.fault]
    print(f"{summary(right)}, {len(found) - len(right)} not answered")
    if len(right) < len(found):
        sys.exit(command.BAD_INPUT)
