"""How each class was answered, in words: a table, and a warning where a class is never found."""

from collections.abc import Sequence

from adapters.heads.assessment import Assessment
from adapters.heads.contract import Head
from adapters.inference.compiled import Answers
from adapters.training.report import grid

ALL, WORST = 20, 10  # classes: so many are all shown; of more the worst
NAMED = 5  # classes that a warning names


def assessed(head: Head, labels: Sequence[str], answers: Answers) -> Assessment | None:
    """The head's assessment of a whole split; None where an image does not have one class."""
    if head.assess is None:
        return None
    return head.assess(labels, answers.predictions, answers.targets)


def by_class(assessment: Assessment) -> str:
    """A table of each class's images, recall and precision, the worst recall first.

    Of more than 20 classes it has the 10 worst. Below it stands how far confidence lies from
    accuracy.
    """
    known = [one for one in assessment.classes if one.images]
    order = sorted(known, key=lambda one: (one.found / one.images, -one.images))
    shown = order if len(order) <= ALL else order[:WORST]
    lines = [["class", "images", "answers", "recall %", "precision %"]]
    lines += [
        [
            one.label,
            *(f"{count:,}" for count in (one.images, one.answered)),
            *map(_percent, (one.recall, one.precision)),
        ]
        for one in shown
    ]
    rest = len(order) - len(shown)
    return "\n".join(
        [
            grid(lines, below=0),
            *([f"and {rest:,} classes of higher recall"] if rest else []),
            f"expected calibration error {100 * assessment.calibration_error:.2f} %",
        ]
    )


def warnings(task: str, split: str, assessment: Assessment | None) -> list[str]:
    """One line where classes that have images are never answered, else none."""
    missed = assessment.missed if assessment else []
    if not assessment or not missed:
        return []
    known = sum(one.images > 0 for one in assessment.classes)
    listed = ", ".join(f"{one.label} ({_images(one.images)})" for one in missed[:NAMED])
    more = f" and {len(missed) - NAMED:,} more" if len(missed) > NAMED else ""
    return [
        f"WARNING: {task}: {len(missed):,} of {known:,} classes are never predicted on {split}: "
        f"{listed}{more}."
    ]


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
