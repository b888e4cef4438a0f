"""What a run's tasks can be asked in words that training does not say, and what words mean."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters.experiment import text_encoder
from adapters.experiment.settings import SettingError
from adapters.patches.contract import Patch
from adapters.words import spoken
from tasks.queries import QUERY
from tasks.task import Task


def with_phrases(tasks: Sequence[Task], listed: str | None, patch: Patch) -> tuple[Task, ...]:
    """The tasks; those that can be asked may be asked for these phrases too.

    Each takes a number of the query that has no meaning yet; a text that a task knows already stays
    what it is.

    Args:
      tasks: of a run.
      listed: phrases with commas between; None: there are none.
      patch: what tasks train.

    Raises SettingError where there are not enough such numbers, no such task, or a patch to which a
    phrase means nothing.
    """
    if listed is None:
        return tuple(tasks)
    phrases = [phrase.strip() for phrase in listed.split(",") if phrase.strip()]
    if not any(QUERY in task.words for task in tasks):
        raise SettingError("phrases", "is of tasks with queries, and these have none.")
    if not patch.reads_texts:
        raise SettingError(
            "phrases",
            f"is {listed}, which means nothing to a patch that learns each word by itself: give "
            "one that reads texts, query_modulation(embeddings=text).",
            "patch",
        )
    return tuple(_with(task, phrases) if QUERY in task.words else task for task in tasks)


def _with(task: Task, phrases: Sequence[str]) -> Task:
    words, (size,) = dict(task.words[QUERY]), task.inputs[QUERY]
    new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in words]
    free = range(1 + max(place for own in words.values() for place in own), size)
    if len(new) > len(free):
        raise SettingError(
            "phrases",
            f"has {len(new)} new ones for {task.name}, whose query has room for {len(free)}.",
        )
    words |= {phrase: (place,) for phrase, place in zip(new, free, strict=False)}
    return dataclasses.replace(task, words={**task.words, QUERY: words})


def vectors(tasks: Sequence[Task], numbers: int) -> npt.NDArray[np.float32]:
    """What the texts of each task's query mean, [tasks, numbers, WIDTH]; 0 where there is no text.

    Raises whatever `text_encoder.encoder` does.
    """
    found = np.zeros((len(tasks), numbers, text_encoder.WIDTH), np.float32)
    for row, task in zip(found, tasks, strict=True):
        known = spoken(task.words.get(QUERY, {}))
        if known:
            row[list(known)] = text_encoder.encoder().embedded(list(known.values()))
    return found
