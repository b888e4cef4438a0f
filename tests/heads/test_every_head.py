"""What every kind of head must do, by one table; each row is a head and something to learn."""

import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.heads.contract import (
    Answer,
    Boxes,
    Head,
    HeadSettingError,
    NoAnswerError,
    Regions,
    Segments,
    TargetError,
)
from adapters.heads.registry import HEADS, from_settings, from_spec
from adapters.heads.together import TaskHeads
from adapters.view import View
from tests import imports
from tests.quick import QUICKEST

EXAMPLES, FEATURES = 6, 7
GENERATOR = np.random.default_rng(0)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A head, targets {name: [N, ...]} for three outputs, and logits that predict them well.

    `maps` are the shapes of what the head reads of one image; the loss is of one, in NumPy.
    `plain` are targets that such logits tell whole, if others than `targets`. `beside` are further
    predictions of one image that go with the logits.
    """

    head: Head
    targets: dict[str, Any]
    right: Any
    loss: Callable[..., float]
    maps: dict[str, tuple[int, ...]] = dataclasses.field(
        default_factory=lambda: {"features": (FEATURES,)}
    )
    plain: dict[str, Any] = dataclasses.field(default_factory=dict)
    beside: dict[str, Any] = dataclasses.field(default_factory=dict)

    def taps(self, *before: int) -> dict[str, Any]:
        return {
            name: GENERATOR.normal(size=(*before, *shape)).astype(np.float32)
            for name, shape in self.maps.items()
        }

    def logits(self, *before: int) -> Any:
        return GENERATOR.normal(size=(*before, *self.right.shape[1:]))

    def said(self, logits: Any, *rows: int) -> dict[str, Any]:
        """Predictions with these logits, of the examples `rows`, or of all."""
        others = {name: values[rows] if rows else values for name, values in self.beside.items()}
        return {"logits": logits, **others}


def _sigmoid_loss(logits: Any, truth: Any) -> float:
    shares = 1 / (1 + np.exp(-logits))
    return -np.mean(truth * np.log(shares) + (1 - truth) * np.log(1 - shares))


def _softmax_loss(logits: Any, label: Any) -> float:
    return np.log(np.exp(logits).sum()) - logits[label]


def _huber_loss(logits: Any, truth: Any) -> float:
    far = np.abs(logits - truth)
    return np.mean([0.5 * d * d if d <= 1 else d - 0.5 for d in far])


def _pixel_loss(logits: Any, classes: Any) -> float:
    """Of logits that are enlarged two times: between two centres lie a quarter and three."""
    for axis in (0, 1):
        before = np.concatenate([logits.take([0], axis), logits], axis)
        after = np.concatenate([logits, logits.take([-1], axis)], axis)
        between = np.stack([before * 0.75 + after * 0.25, before * 0.25 + after * 0.75], axis + 1)
        flat = between.reshape(*logits.shape[:axis], -1, *logits.shape[axis + 1 :])
        logits = flat.take(range(1, flat.shape[axis] - 1), axis)
    counted = map(tuple, np.argwhere(classes >= 0))
    return np.mean([_softmax_loss(logits[at], classes[at]) for at in counted])


def _overlap(one: Any, other: Any) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared, first, second = (
        np.prod(np.maximum(sides, 0))
        for sides in (high - low, one[2:] - one[:2], other[2:] - other[:2])
    )
    return shared / (first + second - shared)


def _found(anchors: Any, objects: Any) -> dict[int, Any]:
    """Of each anchor that has one, its object."""
    real = [one for one in objects if one[4] >= 0]
    table = np.array([[_overlap(one[:4], anchor) for anchor in anchors] for one in real])
    found = {
        number: real[column.argmax()]
        for number, column in enumerate(table.T)
        if column.max() >= 0.5
    }
    return found | {int(row.argmax()): one for row, one in zip(table, real, strict=True)}


def _offset(anchor: Any, box: Any) -> Any:
    sides, wanted = anchor[2:] - anchor[:2], box[2:] - box[:2]
    moved = (box[:2] + wanted / 2 - anchor[:2] - sides / 2) / sides * 10
    return np.concatenate([moved, np.log(wanted / sides) * 5])


def _box_loss(logits: Any, objects: Any, offsets: Any, anchors: Any) -> float:
    def cost(row: Any, label: int | None) -> float:
        return _softmax_loss(row, 0 if label is None else label + 1)

    return _mined_loss(cost, logits, objects, offsets, anchors)


def _sigmoid_box_loss(logits: Any, objects: Any, offsets: Any, anchors: Any) -> float:
    def cost(row: Any, label: int | None) -> float:
        signs = np.where(np.arange(len(row)) == label, -1, 1)
        return float(np.logaddexp(0, signs * row.astype(float)).sum())

    return _mined_loss(cost, logits, objects, offsets, anchors)


def _mined_loss(cost: Any, logits: Any, objects: Any, offsets: Any, anchors: Any) -> float:
    """The worst three anchors of nothing for each with an object."""
    found = _found(anchors, objects)
    costs = [
        cost(row, int(found[number][4]) if number in found else None)
        for number, row in enumerate(logits)
    ]
    empty = sorted((cost for number, cost in enumerate(costs) if number not in found), reverse=True)
    classes = sum(costs[number] for number in found) + sum(empty[: 3 * len(found)])
    far = [_huber_loss(offsets[n], _offset(anchors[n], one[:4])) * 4 for n, one in found.items()]
    return (classes + sum(far)) / len(found)


def _focal_box_loss(logits: Any, objects: Any, offsets: Any, anchors: Any) -> float:
    found = _found(anchors, objects)
    total = 0.0
    for number, row in enumerate(logits):
        for label, logit in enumerate(row.astype(float)):
            here = number in found and found[number][4] == label
            sure, alpha = (logit, 0.25) if here else (-logit, 0.75)
            wrong = np.exp(-np.logaddexp(0, sure))
            total += alpha * wrong**2 * np.logaddexp(0, -sure)
    far = [_huber_loss(offsets[n], _offset(anchors[n], one[:4])) for n, one in found.items()]
    return (total + sum(far)) / len(found)


def _softmax(values: Any) -> Any:
    shares = np.exp(values - values.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def _panoptic_loss(logits: Any, truth: Any, masks: Any) -> float:
    """Of every block: the best of all ways to give each segment a mask, then mask by mask."""
    return sum(_masks_loss(*step, truth) for step in zip(logits, masks, strict=True))


def _masks_loss(logits: Any, masks: Any, truth: Any) -> float:
    sure = _softmax(logits.astype(float))
    placed = _softmax(masks.astype(float)).reshape(-1, len(logits))
    side = masks.shape[0]
    blocks = truth.reshape(side, len(truth) // side, side, -1).swapaxes(1, 2)
    shares = {n: (blocks == n).mean(axis=(2, 3)).ravel() for n in np.unique(truth) if n >= 0}
    known = sum(shares.values())
    seen = placed * known[:, None]
    dice = {
        n: 2 * (own[:, None] * seen).sum(0) / (own.sum() + seen.sum(0)) for n, own in shares.items()
    }
    likely = {n: sure[:, 1 + n // 100] for n in shares}
    best = max(
        itertools.permutations(range(len(logits)), len(shares)),
        key=lambda way: sum(dice[n][q] * likely[n][q] for n, q in zip(shares, way, strict=True)),
    )
    free, total = set(range(len(logits))) - set(best), 0.0
    for n, query in zip(shares, best, strict=True):
        fit, right = dice[n][query], likely[n][query]
        total += 3 * 0.75 * (right * (1 - fit) - fit * np.log(right)) / len(logits)
        total -= 0.3 * (shares[n] * np.log(placed[:, query])).sum() / known.sum()
    for query in free:
        counted = (placed[:, query] * known).sum() / placed[:, query].sum()
        total -= 3 * 0.25 * counted * np.log(sure[query, 0]) / len(logits)
    return total


CLASSES = np.array([0, 1, 2, 2, 1, 0], np.int32)
LABELS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]], np.float32)
VALUES = np.array(GENERATOR.normal(50, 20, (EXAMPLES, 3)), np.float32)
AGES = from_spec("regression(unit=years)").after_training_targets({"values": VALUES})
ENTRIES = [
    Entry(from_spec("classification"), {"label": CLASSES}, 9 * np.eye(3)[CLASSES], _softmax_loss),
    Entry(from_spec("multilabel"), {"labels": LABELS}, 18 * LABELS - 9, _sigmoid_loss),
    Entry(AGES, {"values": VALUES}, (VALUES - VALUES.mean(0)) / VALUES.std(0), _huber_loss),
]
REGIONS = GENERATOR.integers(-1, 3, (EXAMPLES, 2, 2)).repeat(2, 1).repeat(2, 2).astype(np.int32)
ENTRIES += [
    Entry(
        from_spec("segmentation"),
        {"classes": REGIONS},
        99 * np.eye(3)[REGIONS[:, ::2, ::2]],
        _pixel_loss,
        {"stride_8": (2, 2, 5), "stride_16": (1, 1, 4)},
        {"classes": REGIONS[:, ::2, ::2] % 3},
    )
]


def _objects() -> Any:
    """Two in each image, where no anchor is the nearest of both, and a row that fills up."""
    corners = np.array([[0.05, 0.1], [0.5, 0.55]]) + GENERATOR.uniform(0, 0.1, (EXAMPLES, 2, 2))
    sides = GENERATOR.uniform(0.25, 0.35, (EXAMPLES, 2, 2))
    classes = GENERATOR.integers(0, 3, (EXAMPLES, 2, 1))
    rows = np.concatenate([corners, corners + sides, classes], axis=-1)
    return np.concatenate([rows, np.full((EXAMPLES, 1, 5), -1)], axis=1).astype(np.float32)


def _detector(spec: str, maps: dict[str, Any], nothing: int, loss: Callable[..., float]) -> Entry:
    """Of a head of boxes, `nothing` of whose scores are of no class."""
    head, objects = from_spec(spec), _objects()
    shapes = head.shapes({name: shape[-1] for name, shape in maps.items()}, 3)
    anchors = head.apply(
        {leaf: np.zeros(shape, np.float32) for leaf, shape in shapes.items()},
        {name: np.zeros(shape, np.float32) for name, shape in maps.items()},
    )["anchors"]
    offsets = np.zeros((EXAMPLES, len(anchors), 4), np.float32)
    right = np.full((EXAMPLES, len(anchors), 3 + nothing), -15.0)
    right[:, :, :nothing] = 15
    for row, own in enumerate(objects):
        for anchor, one in _found(anchors, own).items():
            offsets[row, anchor] = _offset(anchors[anchor], one[:4])
            right[row, anchor] = -15
            right[row, anchor, int(one[4]) + nothing] = 15
    beside = {"offsets": offsets, "anchors": np.stack([anchors] * EXAMPLES)}
    return Entry(head, {"objects": objects}, right, loss, maps, beside=beside)


ENTRIES += [
    _detector(
        "ssdlite(maps=2, smallest=0.3, largest=0.5)",
        {"stride_16/expand": (3, 3, 5), "stride_32": (2, 2, 4)},
        1,
        _box_loss,
    ),
    _detector(
        "ssdlite(maps=2, smallest=0.3, largest=0.5, scores=sigmoid)",
        {"stride_16/expand": (3, 3, 5), "stride_32": (2, 2, 4)},
        0,
        _sigmoid_box_loss,
    ),
    _detector(
        "fpnlite(finest=5, coarsest=6, anchor=0.8)",
        {"neck_01": (3, 3, 4), "neck_06": (2, 2, 4)},
        0,
        _focal_box_loss,
    ),
]


def _segmented() -> Entry:
    """Four masks; of each image the first ones are right, those of no segment are of no class."""
    numbers = GENERATOR.integers(0, 2, (EXAMPLES, 2, 2)).repeat(2, 1).repeat(2, 2)
    truth = np.where(REGIONS < 0, -1, 100 * REGIONS + numbers).astype(np.int32)
    right = np.full((EXAMPLES, 4, 4), -9.0) + 18 * np.eye(4)[0]
    masks = np.zeros((EXAMPLES, 2, 2, 4), np.float32)
    for row, own in enumerate(truth[:, ::2, ::2]):
        for query, number in enumerate(sorted({*own.ravel()}, reverse=True)):
            masks[row, ..., query] = np.where(own == number, 99, 0)
            if number >= 0:
                right[row, query] = 18 * np.eye(4)[1 + number // 100] - 9
    head = from_spec("panoptic(queries=4, dimension=6, blocks=1, semantic=0)")
    maps = {"stride_8": (2, 2, 5), "stride_16": (1, 1, 4)}
    return Entry(head, {"segments": truth}, right, _panoptic_loss, maps, beside={"masks": masks})


ENTRIES += [_segmented()]
NAMES = ("rose", "tulip", "daisy")
VIEW = View(80, 40, left=0.25, right=0.75)  # the middle of a picture
every_head = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.head.kind)


def test_the_table_has_every_head():
    assert {entry.head.kind for entry in ENTRIES} == set(HEADS)


@every_head
def test_settings_make_the_head_again(entry):
    again = from_settings(entry.head.kind, entry.head.settings)
    assert again.settings == entry.head.settings
    said = entry.said(entry.logits(), 0)
    assert again.listed(NAMES, said, VIEW) == entry.head.listed(NAMES, said, VIEW)


@every_head
def test_the_loss_beside_another_task_is_the_task_s_own(entry):
    """Against numpy on its own three outputs; the other task gets exactly no gradient."""
    heads = TaskHeads((entry.head, entry.head), (5, 3))
    layout = heads.layout(entry.head.kind)
    placed = heads.placed(1, entry.targets)
    zeros = layout.initial({name: shape[-1] for name, shape in entry.maps.items()})
    table = {
        leaf: jnp.asarray(GENERATOR.normal(size=value.shape), jnp.float32)
        for leaf, value in zeros.items()
    }
    taps, task = entry.taps(EXAMPLES), jnp.int32(1)

    def total(table):
        def one(taps, targets):
            said = layout.predictions(table, taps, task)
            return sum(entry.head.loss(said, targets, layout.own(task), 0.0, 0.0).values())

        return jax.vmap(one)(taps, placed)

    (target,) = entry.head.standardised(entry.targets).values()
    own = layout.weights(table, 1)
    assert {leaf: values.shape for leaf, values in own.items()} == entry.head.shapes(
        {name: shape[-1] for name, shape in entry.maps.items()}, 3
    )
    said = (entry.head.in_training or entry.head).apply(own, taps)
    others = [values for name, values in said.items() if name != "logits"]
    wanted = [entry.loss(*each) for each in zip(said["logits"], target, *others, strict=True)]
    found, gradient = jax.jit(
        lambda table: (total(table), jax.grad(lambda table: jnp.sum(total(table)))(table)),
        compiler_options=QUICKEST,
    )(table)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert not any(values.any() for values in layout.weights(gradient, 0).values())
    whole, part = (
        sum(float(np.abs(values).sum()) for values in each.values())
        for each in (gradient, layout.weights(gradient, 1))
    )
    assert whole == pytest.approx(part)
    assert whole > 0


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES if entry.head.soft_targets],
    ids=lambda entry: entry.head.kind,
)
def test_a_teacher_who_is_sure_is_learned_like_the_truth(entry):
    """The part of a teacher is a term of its own; the two shares add up to the whole."""
    heads = TaskHeads((entry.head,), (3,))
    taught = {"teacher": np.asarray(entry.head.soft_targets({"logits": entry.right}), np.float32)}
    placed = heads.placed(0, {**(entry.plain or entry.targets), **taught})
    own = jnp.ones(3, bool)
    logits = {"logits": jnp.asarray(entry.logits(), jnp.float32)}
    first = {name: values[0] for name, values in placed.items()}
    alone = sum(entry.head.loss(logits, {**first}, own, 0.0, 0.0).values())
    hard = {name: value for name, value in first.items() if name != "teacher"}
    (plain,) = entry.head.loss(logits, hard, own, 0.0, 0.5).values()
    halves = entry.head.loss(logits, first, own, 0.0, 0.5)
    assert len(halves) == 2
    np.testing.assert_allclose(alone, plain, rtol=1e-6)
    np.testing.assert_allclose(sum(halves.values()), plain, rtol=1e-3, atol=1e-3)


@every_head
def test_the_metric_of_batches_is_that_of_the_whole(entry):
    metric = entry.head.metric
    said = entry.said(entry.logits(EXAMPLES))
    whole = metric.update(metric.init(3), said, entry.targets)
    state = metric.init(3)
    for part in (slice(0, 2), slice(2, 5), slice(5, 6)):
        own, some = (
            {name: values[part] for name, values in each.items()} for each in (entry.targets, said)
        )
        state = metric.update(state, some, own)
    assert metric.result(state) == metric.result(whole)
    right = metric.update(metric.init(3), entry.said(entry.right), entry.targets)
    assert metric.result(right)[metric.score].value == pytest.approx(1.0)
    assert metric.result(whole)[metric.score].value < 1
    with pytest.raises(TargetError, match="no examples"):
        metric.result(metric.init(3))


@every_head
def test_an_answer_and_its_json_say_the_same(entry):
    (target,) = entry.targets.values()
    for row in range(EXAMPLES):
        said = entry.said(entry.right[row], row)
        answer, listed = entry.head.decode(NAMES, said), entry.head.listed(NAMES, said, VIEW)
        assert answer.agreement(answer) in (1, None)
        assert (entry.head.mask is None) == (not isinstance(answer, Regions | Segments))
        if isinstance(answer, Boxes):
            (truth,) = (values[row] for values in entry.targets.values())
            wanted = sorted((NAMES[int(one[4])], *one[:4].tolist()) for one in truth if one[4] >= 0)
            found = sorted((each["label"], *each["bbox"]) for each in listed)
            assert [one[0] for one in found] == [one[0] for one in wanted]
            corners = np.reshape([one[1:] for one in wanted], (-1, 4))
            # The picture is twice as wide as high, and the network saw its middle.
            corners = corners * [40, 40, 40, 40] + [20, 0, 20, 0]
            corners[:, 2:] -= corners[:, :2]
            found = np.reshape([one[1:] for one in found], (-1, 4))
            np.testing.assert_allclose(found, corners, atol=0.01)
            assert len(answer.boxes) == len(listed)
            if len(answer.boxes):
                fewer = answer._replace(boxes=answer.boxes[1:], classes=answer.classes[1:])
                moved = answer._replace(boxes=answer.boxes + 0.01)
                assert answer.agreement(fewer) == answer.agreement(moved) == 0
            assert answer.label.count(" ") == 2 * len({one[0] for one in wanted}) - 1
            continue
        if isinstance(answer, Segments):
            assert_segments_of_the_middle(entry.head, said, answer, listed, target[row])
            continue
        assert {each["label"] for each in listed} == set(NAMES)
        if isinstance(answer, Answer):
            assert list(answer.probabilities) == [each["label"] for each in listed]
        elif isinstance(answer, Regions):
            assert list(answer.shares) == [each["label"] for each in listed]
            (truth,) = (values[row] for values in entry.targets.values())
            found = answer.classes(*truth.shape)
            np.testing.assert_array_equal(found[truth >= 0], truth[truth >= 0])
            assert answer.classes(6, 10).shape == (6, 10)
            assert_mask_of_the_middle(entry.head, said, answer, listed)
        else:
            found = [answer.values[name] for name in NAMES]
            np.testing.assert_allclose(found, target[row], rtol=1e-5)
    odd = np.where(np.arange(entry.right.shape[-1]) == 1, np.nan, entry.right[0])
    with pytest.raises(NoAnswerError, match="not finite"):
        entry.head.decode(NAMES, entry.said(odd, 0))


def assert_mask_of_the_middle(head, said, answer, listed):
    """Beside what was seen there is nothing; the runs of each label are its pixels."""
    mask = head.mask(NAMES, said, VIEW)
    assert mask.shape == (40, 80)
    assert (mask[:, :20] == -1).all()
    assert (mask[:, 60:] == -1).all()
    np.testing.assert_array_equal(mask[:, 20:60], answer.classes(40, 40))
    for row in listed:
        counts = row["segmentation"]["counts"]
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        height, width = row["segmentation"]["size"]
        np.testing.assert_array_equal(
            flat.reshape(width, height).T, mask == NAMES.index(row["label"])
        )


def assert_segments_of_the_middle(head, said, answer, listed, truth):
    """As many as there are, each with its pixels and its label, and no others."""
    wanted = {int(number): truth == number for number in np.unique(truth) if number >= 0}
    numbers = answer.numbers(*truth.shape)
    assert len(answer.classes) == len(answer.scores) == len(listed) == len(wanted)
    for number, mask in wanted.items():
        (found,) = set(numbers[mask])
        assert answer.classes[found] == number // 100
        np.testing.assert_array_equal(numbers == found, mask)
    seen, mask = answer.seen(VIEW), head.mask(NAMES, said, VIEW)
    assert seen.shape == mask.shape == (40, 80)
    assert (seen[:, :20] == -1).all()
    np.testing.assert_array_equal(seen[:, 20:60], answer.numbers(40, 40))
    for number, row in enumerate(listed):
        counts = row["segmentation"]["counts"]
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        np.testing.assert_array_equal(flat.reshape(80, 40).T, seen == number)
        assert set(mask[seen == number]) == {NAMES.index(row["label"])}
    assert answer.label.count(" ") == 2 * len({*answer.classes}) - 1


@every_head
def test_a_head_predicts_for_one_image_and_for_many(entry):
    """The same in JAX and in NumPy; linear layers are counted by hand."""
    channels = {name: shape[-1] for name, shape in entry.maps.items()}
    shapes = entry.head.shapes(channels, 3)
    assert entry.head.channels(shapes) == channels
    weights = {leaf: np.ones(shape, np.float32) for leaf, shape in shapes.items()}
    weights["b"] = np.arange(3, dtype=np.float32)
    if entry.beside:  # no linear layer
        weights = {leaf: np.float32(GENERATOR.normal(size=shape)) for leaf, shape in shapes.items()}
    taps = entry.taps(2)
    many = entry.head.apply(weights, taps)["logits"]
    first = {name: jnp.asarray(values[0]) for name, values in taps.items()}
    one = jax.jit(entry.head.apply, compiler_options=QUICKEST)(weights, first)["logits"]
    np.testing.assert_allclose(one, many[0], rtol=1e-5, atol=1e-4)
    if entry.beside:
        return  # its values are in a file of its own
    total = sum(values[0].mean(axis=(0, 1)[: values.ndim - 2]).sum() for values in taps.values())
    means = many[0].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(means, total + np.arange(3), rtol=1e-4)


def test_answers_and_scores_need_no_jax():
    """They really run, where JAX cannot be imported."""
    code = """
import sys
sys.modules["jax"] = None
import numpy as np
from adapters.heads.registry import HEADS
targets = {"label": np.array([1]), "labels": np.array([[0.0, 1.0]]), "values": np.ones((1, 2))}
targets["classes"] = np.ones((1, 4, 4), int)
targets["objects"] = np.array([[[0.2, 0.2, 0.6, 0.7, 1]]])
targets["segments"] = np.full((1, 4, 4), 101)
for kind, make in HEADS.items():
    head = make()
    shapes = head.shapes(dict.fromkeys(head.taps, 3), 2)
    weights = {leaf: np.ones(shape) for leaf, shape in shapes.items()} | {"b": np.arange(2.0)}
    taps = {name: np.ones((2, 3) if name == "features" else (2, 2, 2, 3)) for name in head.taps}
    said = head.apply(weights, taps)
    first = {name: values[0] for name, values in said.items()}
    print(kind, head.decode(("a", "b"), first).label)
    many = {name: np.repeat(values, 2, axis=0) for name, values in targets.items()}
    many["values"][0] = 3.0
    print(head.metric.result(head.metric.update(head.metric.init(2), said, many)))
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=imports.ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "classification b" in ended.stdout
    assert "multilabel b + a" in ended.stdout
    assert "segmentation b 100%" in ended.stdout
    assert "ssdlite nothing" in ended.stdout
    assert "fpnlite" in ended.stdout
    assert "panoptic nothing" in ended.stdout


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("classification", {"thresholds": [0.5]}),
        ("multilabel", {"thresholds": [1.5]}),
        ("multilabel", {"thresholds": ["0.5"]}),
        ("multilabel", {"thresholds": 0.5}),
        ("regression", {"unit": 3}),
        ("regression", {"mean": [0.0]}),
        ("regression", {"mean": [0.0], "deviation": [0.0]}),
        ("regression", {"mean": [float("nan")], "deviation": [1.0]}),
        ("segmentation", {"low": "stride_8", "high": "stride_8"}),
        ("segmentation", {"low": 8}),
        ("segmentation", {"high": None}),
        ("ssdlite", {"finest": 12}),
        ("ssdlite", {"finest": 32, "coarsest": 16}),
        ("ssdlite", {"finest": 16.0}),
        ("ssdlite", {"maps": 7}),
        ("ssdlite", {"maps": "six"}),
        ("ssdlite", {"smallest": 0.5, "largest": 0.2}),
        ("ssdlite", {"threshold": 1.5}),
        ("ssdlite", {"threshold": True}),
        ("ssdlite", {"width": 0}),
        ("ssdlite", {"width": 8.0}),
        ("ssdlite", {"anchors": "mine"}),
        ("ssdlite", {"scores": "mine"}),
        ("fpnlite", {"finest": 2}),
        ("fpnlite", {"finest": 5, "coarsest": 4}),
        ("fpnlite", {"anchor": 0}),
        ("fpnlite", {"layers": 5}),
        ("fpnlite", {"threshold": -1}),
        ("panoptic", {"low": "stride_16"}),
        ("panoptic", {"queries": 0}),
        ("panoptic", {"dimension": 6.0}),
        ("panoptic", {"blocks": True}),
        ("panoptic", {"stuff": -1}),
        ("panoptic", {"threshold": 2}),
        ("panoptic", {"reclass": -0.1}),
        ("panoptic", {"semantic": float("inf")}),
        ("panoptic", {"remask": 1}),
        ("panoptic", {"remask": True, "semantic": 0}),
    ],
)
def test_settings_that_mean_nothing_are_refused(kind, settings):
    with pytest.raises(HeadSettingError):
        from_settings(kind, settings)
