"""Early exit: against both networks run on every image."""

from unittest import mock

import jax
import numpy as np
import pytest

from adapters.analysis.counting import multiply_adds
from adapters.backbones import registry
from adapters.heads.classification import softmax
from adapters.inference.compiled import inference
from adapters.inference.early_exit import (
    NoPredictionError,
    answer_early,
    early_exit,
    programs,
)
from adapters.patches.basisnet import basisnet
from adapters.patches.contract import no_look
from tests import narrow

EXAMPLES, CLASSES = 8, 3


@pytest.fixture(scope="module")
def study():
    with mock.patch.dict(registry.TABLES, narrow=lambda: narrow.TABLE):
        patch = basisnet(preview="narrow", preview_size=16)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    generator = np.random.default_rng(0)
    head = {
        "w": generator.normal(size=(16, CLASSES)).astype(np.float32),
        "b": generator.normal(size=CLASSES).astype(np.float32),
        "preview/w": generator.normal(size=(16, CLASSES)).astype(np.float32),
        "preview/b": generator.normal(size=CLASSES).astype(np.float32),
    }
    images = np.asarray(narrow.normalised(narrow.images(1, EXAMPLES)[0][0]))
    network = early_exit(narrow.BACKBONE, patch.prepare, "preview", [8, 2, 4])
    return patch, weights, head, images, network


def test_the_undecided_get_the_whole_networks_answer_and_the_rest_the_looks(study):
    patch, weights, head, images, network = study
    whole = inference(narrow.BACKBONE, EXAMPLES, narrow.SIZE, patch.prepare)
    features = np.asarray(whole.features(weights, {"image": images}))
    final = softmax(features @ head["w"] + head["b"])
    small = jax.image.resize(images, (EXAMPLES, 16, 16, 3), "linear")
    alone = inference(narrow.BACKBONE, EXAMPLES, 16)
    seen = alone.features(narrow.weights(), {"image": small})
    first = softmax(np.asarray(seen) @ head["preview/w"] + head["preview/b"])
    sure = np.sort(first.max(axis=1))
    for stopping in range(EXAMPLES + 1):
        threshold = 1.01 if stopping == 0 else float(sure[-stopping])
        answers = answer_early(network, weights, head, images, threshold - 1e-6)
        stopped = first.max(axis=1) >= threshold - 1e-6
        assert np.array_equal(answers.stopped, stopped)
        assert stopped.sum() == stopping
        np.testing.assert_allclose(answers.first, first, rtol=1e-4, atol=1e-6)
        expected = np.where(stopped[:, None], first, final)
        np.testing.assert_allclose(answers.final, expected, rtol=1e-4, atol=1e-6)
    assert network.look._cache_size() == 1
    assert network.finish._cache_size() == 3  # 2, 4 and 8 images, however many were undecided


def test_what_the_parts_cost_is_what_the_whole_costs(study):
    patch, weights, _, images, network = study
    looking, finishing = (
        sum(map(multiply_adds, program.jaxpr.eqns))
        for program in programs(network, weights, narrow.SIZE)
    )
    whole = inference(narrow.BACKBONE, 1, narrow.SIZE, patch.prepare).features
    program = jax.make_jaxpr(whole)(weights, {"image": images[:1]})
    assert looking + finishing == sum(map(multiply_adds, program.jaxpr.eqns))
    assert 0 < looking < finishing


def test_a_patch_without_a_look_is_refused(study):
    _, weights, head, images, _ = study
    network = early_exit(narrow.BACKBONE, no_look, "preview", [8])
    with pytest.raises(NoPredictionError, match="it makes: none"):
        answer_early(network, weights, head, images, 0.5)
