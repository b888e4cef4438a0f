"""Examples that are made ready once: in the order, and with the bytes, of those made anew."""

import dataclasses
import types

import numpy as np
import pytest

from adapters.preprocessing import Preprocessing
from tasks import pipeline
from tasks.augmentation import Augmentation
from tasks.kept import KeptBatches, Prepared, remembered
from tests.tasks.stand_in import tiny_task

SETTINGS = Preprocessing(size=5, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize(("part", "parts"), [(0, 1), (1, 2)])
def test_batches_of_kept_examples_are_those_of_the_pipeline(part, parts):
    task = tiny_task(images=10)
    prepared = Prepared(task, SETTINGS)
    assert prepared.count == 10
    assert prepared.size == 5 * 5 * 3 + 4
    kept = KeptBatches(remembered(prepared, np.zeros), prepared.count, 4, 3, part, parts)
    others = {"augmentation": "none", "shard_index": part, "shard_count": parts}
    plain = pipeline.training_batches(task, SETTINGS, 4, 3, **others)
    for number in (7, 0, 1, 2, 3, 4, 0):
        mine, whole = kept[number], plain[number]
        assert mine.keys() == whole.keys()
        for name in whole:
            assert mine[name].dtype == whole[name].dtype
            np.testing.assert_array_equal(mine[name], whole[name])


def test_an_example_is_made_ready_once(monkeypatch):
    prepared = Prepared(tiny_task(images=6), SETTINGS)
    kept = KeptBatches(remembered(prepared, np.zeros), prepared.count, 4, 3)
    asked = []
    again = Prepared.__getitem__
    monkeypatch.setattr(
        Prepared, "__getitem__", lambda self, row: asked.append(row) or again(self, row)
    )
    for number in range(6):  # four epochs
        kept[number]
    assert sorted(asked) == [*range(6)]


def test_what_is_augmented_varies():
    task = tiny_task(augmentation=Augmentation(crop=(0.5, 1.0)))
    plain = tiny_task(augmentation=Augmentation(crop=(1.0, 1.0), aspect=(1.0, 1.0)))
    assert not pipeline.varies(task, "none")
    assert pipeline.varies(task, "task")
    assert not pipeline.varies(plain, "task")
    assert pipeline.varies(plain, "wide")
    asked = dataclasses.replace(plain, ask=types.SimpleNamespace(inputs=()))
    assert pipeline.varies(asked, "none")
