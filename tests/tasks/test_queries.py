"""Queries drawn from ordinary boxes: which, how often, and what each asks for."""

import collections
import dataclasses

import numpy as np
import pytest

from adapters.preprocessing import Preprocessing
from adapters.words import numbers
from tasks import loading, pipeline, queries, registry
from tasks.augmentation import Augmentation
from tasks.task import Task, TaskError

LABELS = ("cup", "jar", "pot")
# Two cups, the right one the larger; one jar; no pot.
BOXES = np.array(
    [[0.1, 0, 0.2, 0.1, 0], [0.6, 0, 0.9, 0.3, 0], [0.4, 0.5, 0.5, 0.6, 1]], np.float32
)
SETTINGS = Preprocessing(size=8, mean=(0.0,) * 3, std=(1.0,) * 3)


@dataclasses.dataclass(frozen=True)
class Shelf:
    """A source of one image, with `BOXES`."""

    def open(self, task, split, data_dir):
        return [{"name": split, "image": np.zeros((8, 8, 3), np.uint8), "objects": BOXES}]


PLAIN = Task(
    *("shelf", Shelf(), LABELS, "Made for a test.", (0.0, 1.0)),
    head="ssdlite",
    augmentation=Augmentation((1, 1), (1, 1), flip=True),
)
ASKED = queries.queried(PLAIN)


def filled(rows):
    return np.concatenate([rows, np.full((100 - len(rows), 5), -1, np.float32)])


def text_of(query):
    """What is asked, by its numbers."""
    words = ASKED.words["query"]
    (text,) = [each for each in words if np.array_equal(query, numbers("query", each, words, 16))]
    return text


def test_each_query_asks_for_what_its_words_say():
    generator, ask = np.random.default_rng(0), queries.Questions(LABELS)
    wanted = {
        **{"": [0, 1, 2], "cup": [0, 1], "jar": [2], "pot": []},
        **{"left cup": [0], "right cup": [1], "largest cup": [1], "smallest cup": [0]},
    }
    counts = collections.Counter()
    for _ in range(4000):
        drawn = ask({"objects": filled(BOXES)}, generator)
        text = text_of(drawn["query"])
        np.testing.assert_array_equal(drawn["objects"], filled(BOXES[wanted[text]]))
        counts[text] += 1
    # 40 % nothing, 15 % absent; of the 45 % half are cups, and half of those by a relation.
    shares = {"": 0.4, "pot": 0.15, "jar": 0.225, "cup": 0.1125}
    shares |= dict.fromkeys(wanted.keys() - shares, 0.1125 / 4)
    assert counts.keys() == wanted.keys()
    for text, share in shares.items():
        assert abs(counts[text] / 4000 - share) < 0.03, text


def test_nothing_is_asked_that_the_image_cannot_answer():
    generator, ask = np.random.default_rng(0), queries.Questions(LABELS)
    every = np.concatenate([BOXES, [[0.2, 0.8, 0.3, 0.9, 2]]]).astype(np.float32)
    for _ in range(200):
        drawn = ask({"objects": filled(every)}, generator)
        assert drawn["objects"][0, 4] >= 0, text_of(drawn["query"])
    empty = {text_of(ask({"objects": filled(BOXES[:0])}, generator)["query"]) for _ in range(200)}
    assert empty == {"", *LABELS}


@pytest.mark.parametrize(
    ("relation", "boxes", "wanted"),
    [
        ("left", [[0.5, 0, 0.6, 1], [0.3, 0, 0.4, 1]], 1),
        ("left", [[0.35, 0, 0.45, 1], [0.3, 0, 0.4, 1]], None),
        ("right", [[0.5, 0, 0.6, 1], [0.3, 0, 0.4, 1], [0, 0, 0.1, 1]], 0),
        ("largest", [[0, 0, 0.4, 1], [0, 0, 0.3, 1]], 0),
        ("largest", [[0, 0, 0.4, 1], [0, 0, 0.35, 1]], None),
        ("smallest", [[0, 0, 0.4, 1], [0, 0, 0.3, 1]], 1),
        ("smallest", [[0, 0, 0.4, 1]], None),
    ],
)
def test_a_relation_holds_of_one_box_clearly_or_of_none(relation, boxes, wanted):
    assert queries.only(relation, np.array(boxes)) == wanted


def test_a_view_is_asked_as_it_is_seen_and_only_where_the_query_is_read():
    batches = pipeline.training_batches(ASKED, SETTINGS, 64, seed=0, inputs=["query"])
    batch = batches[0]
    assert batch["query"].shape == (64, 16)
    seen = {}
    for query, objects in zip(batch["query"], batch["objects"], strict=True):
        seen.setdefault(text_of(query), []).append(objects[objects[:, 4] >= 0])
    # The left cup of a mirrored image is the one that the file has on the right.
    edges = {round(float(found[0, 0]), 1) for found in seen["left cup"]}
    assert edges == {0.1}  # as it lies, left at 0.1; mirrored, 1 - 0.9
    widths = {round(float(found[0, 2] - found[0, 0]), 1) for found in seen["left cup"]}
    assert widths == {0.1, 0.3}
    unread = pipeline.training_batches(ASKED, SETTINGS, 64, seed=0)[0]
    assert set(unread) == {"image", "objects"}
    assert ((unread["objects"][..., 4] >= 0).sum(axis=1) == 3).all()


def test_scores_are_of_what_nothing_is_asked_of():
    (batch,) = pipeline.evaluation_batches(ASKED, "test", SETTINGS, 2, inputs=["query"])
    assert text_of(batch.inputs["query"][0]) == ""
    np.testing.assert_array_equal(batch.targets["objects"][0], filled(BOXES))
    assert loading.contents(ASKED, "test") == loading.contents(PLAIN, "test")


def test_only_what_finds_objects_can_be_asked():
    with pytest.raises(TaskError, match="'digits' finds no objects"):
        queries.queried(registry.registered("digits"))
    with pytest.raises(TaskError, match="says query in words, and has no such input"):
        dataclasses.replace(ASKED, inputs={})
