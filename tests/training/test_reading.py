"""Batches read ahead: the right ones whatever was foreseen, own groups alone."""

import numpy as np
import pytest

from adapters.training.reading import READ_AHEAD, Reader

STEPS = 20


class Noted:
    """Batches that say which they are, and note that they were read."""

    def __init__(self, task):
        self.task, self.read = task, []

    def __getitem__(self, number):
        self.read.append(number)
        return {"is": np.asarray([self.task, number])}


def tasks_of(step, seed=0):
    return np.sort(np.random.default_rng([seed, step]).integers(0, 3, 4))


def expected(tasks_by_step):
    """Numbered by counting every task's groups, in order."""
    taken, found = [0, 0, 0], []
    for tasks in tasks_by_step:
        found.append([])
        for task in tasks:
            found[-1].append([task, taken[task]])
            taken[task] += 1
    return found


def read(reader, steps, foreseen):
    """What a run's steps get, [groups, (task, number)] each."""
    return [
        [part["is"].tolist() for part in reader.read(step, tasks_of(step), foreseen)]
        for step in steps
    ]


@pytest.mark.parametrize("wrong_every", [100, 1, 3])
def test_steps_get_their_batches_whatever_was_foreseen(wrong_every):
    def foreseen(step):
        return tasks_of(step, seed=step % wrong_every == 0)

    batches = [Noted(task) for task in range(3)]
    with Reader(batches, range(4), STEPS) as reader:
        found = read(reader, range(STEPS), foreseen)
    assert found == expected(map(tasks_of, range(STEPS)))


def test_processes_read_their_own_groups_alone_and_count_all():
    whole, parts = expected(map(tasks_of, range(STEPS))), []
    for own in ([0, 1], [2, 3]):
        batches = [Noted(task) for task in range(3)]
        with Reader(batches, own, STEPS) as reader:
            parts.append(read(reader, range(STEPS), tasks_of))
            counts = reader.taken
        assert sum(len(one.read) for one in batches) == STEPS * 2
        assert sum(counts) == STEPS * 4
    assert [first + second for first, second in zip(*parts, strict=True)] == whole


def test_reading_goes_on_from_counts_and_never_past_the_end():
    with Reader([Noted(task) for task in range(3)], range(4), STEPS) as reader:
        whole = read(reader, range(STEPS - 3), tasks_of)
        taken = reader.taken.tolist()
    batches = [Noted(task) for task in range(3)]
    with Reader(batches, range(4), STEPS) as reader:
        reader.go_on(taken)
        rest = read(reader, range(STEPS - 3, STEPS), tasks_of)
    assert [*whole, *rest] == expected(map(tasks_of, range(STEPS)))
    assert sum(len(one.read) for one in batches) == 3 * 4
    assert READ_AHEAD > 3


def test_worker_processes_change_nothing():
    with Reader([Noted(task) for task in range(3)], range(4), STEPS, workers=2) as reader:
        found = read(reader, range(STEPS), tasks_of)
    assert found == expected(map(tasks_of, range(STEPS)))


def test_an_error_of_a_batch_is_raised_where_it_is_read():
    class Broken(Noted):
        def __getitem__(self, number):
            if number == 6:
                raise ValueError("batch 6 is broken")
            return super().__getitem__(number)

    with Reader([Broken(0)], [0], STEPS) as reader:
        for step in range(6):
            reader.read(step, np.asarray([0]), lambda step: np.asarray([0]))
        with pytest.raises(ValueError, match="batch 6"):
            reader.read(6, np.asarray([0]), lambda step: np.asarray([0]))
