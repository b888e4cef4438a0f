"""Mixed batches under a server's tables: equal to each task alone, whatever comes and goes."""

import asyncio
import dataclasses

import numpy as np
import pytest

from adapters.benchmarking import compilations
from adapters.errors import UnknownNameError
from adapters.serving.app import by_size
from adapters.serving.network import Example, FullError, MixedNetwork, UnservedPatchError
from adapters.store.contents import Parity
from adapters.store.errors import ParityError
from tests import narrow
from tests.serving import patches


def made(sizes=(narrow.SIZE,), **settings):
    return MixedNetwork(
        narrow.BACKBONE,
        patches.WEIGHTS,
        sizes,
        **{"capacity": 3, "batches": (1, 4)} | settings,
    )


def noise(count, seed=0, size=narrow.SIZE):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((count, size, size, 3), np.float32)


def check(network, names, own, images):
    examples = [
        Example(network.task(name), image) for name, image in zip(names, images, strict=True)
    ]
    for answer, name, image in zip(network.predictions(examples), names, images, strict=True):
        expected = patches.alone(own[name], image[None])[0]
        np.testing.assert_allclose(answer["logits"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "tabled"),
    [
        ("scale_bias", "norms"),
        ("scale_bias+depthwise", "depthwise"),
        ("mask+scale_bias", "everything"),
        ("lora(rank=2)", "everything"),
    ],
)
def test_a_mixed_batch_answers_as_each_task_alone(spec, tabled):
    network = made(tabled=tabled)
    own = {name: patches.contents(name, seed, spec, 2 + seed) for seed, name in enumerate("abc")}
    for contents in own.values():
        network.add(contents)
    check(network, "abca", own, noise(4))
    check(network, "b", own, noise(1))


def test_tasks_of_several_sizes_share_a_network():
    network = made(sizes=(narrow.SIZE, 16), batches=(4,))
    own = {name: patches.contents(name, seed, size=16) for seed, name in enumerate("ab")}
    own["c"] = patches.contents("c", 2)
    for contents in own.values():
        network.add(contents)
    check(network, "aba", own, noise(3, size=16))
    check(network, "cc", own, noise(2))


def test_images_of_several_sizes_share_no_batch():
    batches = []

    def answer(examples):
        batches.append([example.size for example in examples])
        return [None] * len(examples)

    async def run():
        queue = by_size(answer, 4, 10)
        asked = [
            asyncio.ensure_future(queue.ask(Example(None, np.zeros((size, size, 3)))))
            for size in (8, 4, 8, 4)
        ]
        await asyncio.sleep(0)  # all wait before the first batch is taken
        queue.start()
        await asyncio.gather(*asked)
        await queue.close()

    asyncio.run(run())
    assert batches == [[8, 8], [4, 4]]


def test_tasks_come_and_go_and_nothing_is_compiled():
    network = made()
    own = {name: patches.contents(name, seed) for seed, name in enumerate("abcd")}
    newer = patches.contents("a", 7, version="1.1.0")
    network.compile()
    compiled = compilations.counter()
    for name in "abc":
        network.add(own[name])
    network.predictions(
        [Example(network.task(name), image) for name, image in zip("abca", noise(4), strict=True)]
    )
    network.remove("b")
    network.add(own["d"])
    network.add(newer)
    images = noise(4)
    examples = [
        Example(network.task(name), image) for name, image in zip("adca", images, strict=True)
    ]
    answers = network.predictions(examples)
    assert compiled() == 0
    own["a"] = newer
    for answer, name, image in zip(answers, "adca", images, strict=True):
        np.testing.assert_allclose(
            answer["logits"], patches.alone(own[name], image[None])[0], rtol=1e-4
        )


def test_a_task_that_was_replaced_meanwhile_has_no_answer():
    network = made()
    network.add(patches.contents("a", 0))
    network.add(patches.contents("b", 1))
    images = noise(3)
    old = [Example(network.task(name), image) for name, image in zip("aab", images, strict=True)]
    network.remove("a")
    network.add(patches.contents("c", 2))  # takes the row that was a's
    assert network.task("c").row == old[0].task.row
    answers = network.predictions(old)
    assert [answer is None for answer in answers] == [True, True, False]


def test_what_does_not_fit_is_refused_and_changes_nothing():
    network = made(capacity=1)
    network.add(patches.contents("a", 0))
    wrong_answers = dataclasses.replace(
        patches.contents("a", 5), parity=Parity(0, (32, 32, 3), (9.0, 9.0, 9.0), 1e-3)
    )
    far_too_large = dataclasses.replace(
        patches.contents("a", 5), parity=Parity(0, (10**7, 10**7, 3), (0.0, 0.0, 0.0), 1e-3)
    )
    for contents, error, said in (
        (patches.contents("b", 1), FullError, "all 1 rows are taken"),
        (patches.contents("a", 1, "depthwise"), UnservedPatchError, "tables hold norms"),
        (patches.contents("a", 1, "film"), UnservedPatchError, "adds .*which no table"),
        (patches.contents("a", 1, size=16), UnservedPatchError, "images of 16 px"),
        (wrong_answers, ParityError, "logits differ"),
        (far_too_large, UnservedPatchError, "proves itself by an image"),
    ):
        with pytest.raises(error, match=said):
            network.add(contents)
    with pytest.raises(UnknownNameError):
        network.remove("b")
    assert set(network.tasks) == {"a"}
    check(network, "a", {"a": patches.contents("a", 0)}, noise(1))
