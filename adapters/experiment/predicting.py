"""What patches say of many image files, and the files in which that is kept."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from adapters import files
from adapters.errors import ModelPatchError
from adapters.experiment import backbones, output
from adapters.experiment.opening import opened
from adapters.experiment.pictures import PictureError
from adapters.experiment.predictor import Predictor
from adapters.heads.contract import NoAnswerError
from adapters.heads.registry import head_of
from adapters.inference.compiled import Inference
from adapters.store.contents import looks_first
from adapters.store.errors import naming
from adapters.store.read import decode_patch, read_bytes

TOGETHER = 64  # images that are read before they are answered
FORMATS = (".csv", ".jsonl")


class OutputFormatError(ModelPatchError):
    """A file for answers whose name ends in none of `FORMATS`."""


class TwoPatchesError(ModelPatchError):
    """Two patches of one task, whose answers could not be told apart."""


class FileAnswers(NamedTuple):
    """What patches say of one image file.

    Attributes:
      path: of the image.
      answers: {task: labels}, each label a mapping as `Predictor.listed` gives, the first ones.
      fault: why there is no answer; "" where there is.
    """

    path: str
    answers: Mapping[str, Sequence[Mapping[str, Any]]]
    fault: str

    def __str__(self) -> str:
        if self.fault:
            return f"{self.path}: {self.fault}"
        said = [f"{task} {in_words(rows)}" for task, rows in self.answers.items()]
        return f"{self.path}: {'; '.join(said)}"


def in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """Labels as a line of text.

    >>> in_words([{"label": "cat", "probability": 0.9}, {"label": "age", "value": 3.25}])
    'cat (90.0%), age 3.25'
    """

    def said(row: Mapping[str, Any]) -> str:
        share = row.get("probability", row.get("share", row.get("score")))
        if share is not None:
            return f"{row['label']} ({share:.1%})"
        return f"{row['label']} {row['value']:.4g} {row.get('unit', '')}".strip()

    return ", ".join(map(said, rows)) or "nothing"


def load_all(
    paths: Sequence[str | os.PathLike[str]], weights: str | os.PathLike[str] | None = None
) -> dict[str, Predictor]:
    """{task: predictor} of patch files; those of one backbone and size share a compiled network.

    Raises TwoPatchesError, and what `adapters.load` raises.
    """
    found: dict[str, Predictor] = {}
    bases: dict[str, backbones.Loaded] = {}
    networks: dict[Any, Inference] = {}
    for path in paths:
        with naming(path):
            data = read_bytes(path)
            card = decode_patch(data)
        if card.task in found:
            raise TwoPatchesError(f"{os.fspath(path)} is a second patch of the task {card.task}.")
        if card.backbone not in bases:
            bases[card.backbone] = backbones.load(card.backbone, weights)
        key = (card.backbone, card.parity.shape, head_of(card).taps)
        network = None if looks_first(card) else networks.get(key)
        ready = opened(path, data, bases[card.backbone], network=network)
        if not looks_first(card):
            networks[key] = ready.network
        found[card.task] = Predictor(ready, path)
    return found


def predict_files(
    predictors: Mapping[str, Predictor], images: Sequence[str], top: int = 1
) -> Iterator[FileAnswers]:
    """What each patch says of each image file, in the order of the images.

    A file that cannot be read, or answered, has a `fault` and ends nothing. `top` is how many
    labels are kept of each task that ranks its labels; of others all that is found.
    """
    for start in range(0, len(images), TOGETHER):
        part = images[start : start + TOGETHER]
        try:
            yield from _together(predictors, part, top)
        except (PictureError, NoAnswerError):
            faults = {path: fault for path in part if (fault := _fault(predictors, path))}
            good = [path for path in part if path not in faults]
            found = {one.path: one for one in _together(predictors, good, top)}
            yield from (found.get(path) or FileAnswers(path, {}, faults[path]) for path in part)


def _fault(predictors: Mapping[str, Predictor], path: str) -> str:
    """Why an image file cannot be answered; "" if it can."""
    try:
        _together(predictors, [path], 1)
    except (PictureError, NoAnswerError) as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


def _together(
    predictors: Mapping[str, Predictor], paths: Sequence[str], top: int
) -> list[FileAnswers]:
    found = {task: one.listed(paths) for task, one in predictors.items()}
    return [
        FileAnswers(
            path,
            {task: _first(predictors[task], rows[number], top) for task, rows in found.items()},
            "",
        )
        for number, path in enumerate(paths)
    ]


def _first(
    predictor: Predictor, rows: list[dict[str, Any]], top: int
) -> Sequence[Mapping[str, Any]]:
    return rows[:top] if head_of(predictor.card).ranked else rows


def check_output(path: str | os.PathLike[str]) -> None:
    """Asks before the work whether answers may go to `path`.

    Raises OutputFormatError for the ending, OutputFileError where a file is already.
    """
    if not os.fspath(path).endswith(FORMATS):
        raise OutputFormatError(
            f"{os.fspath(path)} must end in {' or '.join(FORMATS)}: a table, a row a label, or a "
            "line of JSON an image."
        )
    output.new_file(path)


def write_answers(path: str | os.PathLike[str], found: Sequence[FileAnswers]) -> None:
    """Writes all answers to the new file `path`, whole or not at all.

    Raises what `check_output` raises, and NotWrittenError.
    """
    check_output(path)
    text = _table(found) if os.fspath(path).endswith(".csv") else _lines(found)
    files.write_bytes(path, text.encode("utf-8", "surrogateescape"))


def _table(found: Sequence[FileAnswers]) -> str:
    rows = [
        {"image": one.path, "task": task, "rank": rank, **row}
        for one in found
        for task, listed in one.answers.items()
        for rank, row in enumerate(listed, start=1)
    ]
    rows += [{"image": one.path, "fault": one.fault} for one in found if one.fault]
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _lines(found: Sequence[FileAnswers]) -> str:
    records = [
        {"image": one.path, "fault": one.fault}
        if one.fault
        else {"image": one.path, "answers": one.answers}
        for one in found
    ]
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)
