"""One task's own graph of a patch that looks first, against JAX: images in, logits out."""

import functools
import importlib.util
from typing import NamedTuple
from unittest import mock

import jax
import numpy as np
import pytest

from adapters.backbones import registry
from adapters.export import export_parity, litert
from adapters.export.onnx import export as onnx_export
from adapters.export.onnx.session import Session
from adapters.layers.mixture import PIXELS, products_up_to
from adapters.patches.registry import from_spec
from adapters.patches.replacement import with_leaves
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.store import parity
from adapters.store.edits import apply_edits
from adapters.training import packing
from tests import narrow
from tests.device import exported

TOLERANCE = 1e-4  # of the largest logit: mixtures are made to depend on little
SPECS = {
    "pointwise": "basisnet(preview=narrow, preview_size=16)+scale_bias",
    "both": "basisnet(preview=narrow, preview_size=16, kernels=both, tail=true)",
    "depthwise": "basisnet(preview=narrow, preview_size=2, bases=3, kernels=depthwise, "
    "per=network)",  # of one pixel, from the stem on
}
IMAGES = np.stack([parity.seeded_image(seed, (narrow.SIZE, narrow.SIZE, 3)) for seed in range(4)])


class Study(NamedTuple):
    """What `export_task` takes, and JAX's logits of `IMAGES`."""

    arguments: tuple
    prepare: object
    logits: np.ndarray


def drawn(patch):
    """Weights of the shapes that the patch asks for, drawn by NumPy: XLA would compile for long."""
    known, generator = exported.weights(), np.random.default_rng(3)
    shapes = jax.eval_shape(patch.extend, jax.random.key(0), narrow.weights())
    return {
        path: {
            leaf: known.get(path.removeprefix("preview/"), {}).get(leaf)
            if leaf != "bases" and not path.endswith("coefficients")
            else generator.standard_normal(array.shape, np.float32) / np.float32(4)
            for leaf, array in leaves.items()
        }
        for path, leaves in shapes.items()
    }


@functools.cache
def study(name):
    """A patch of which each image has a mixture of its own, on which its logits depend."""
    with mock.patch.dict(registry.TABLES, narrow=lambda: narrow.TABLE):
        patch = from_spec(SPECS[name])
    weights = drawn(patch)
    params = patch.init(jax.random.key(0), weights)
    trained = narrow.disturbed(params.trained, seed=5)
    edits = packing.task_edits(patch, params._replace(trained=trained))

    @jax.jit
    def answers(weights, images):
        def one(image):
            seen = patch.prepare(weights, {"image": image}, {"backbone": narrow.BACKBONE})
            looked, blind = (with_leaves(weights, each) for each in (seen.leaves, {}))
            features = [narrow.BACKBONE.apply(each, image).features for each in (looked, blind)]
            mixtures = [leaves["mix"] for leaves in seen.leaves.values()]
            return seen.auxiliary["preview"].features, mixtures, features

        return jax.vmap(one)(images)

    own = weights["preview/coefficients"]  # by which images have mixtures far apart
    preview = np.asarray(answers(apply_edits(weights, edits), IMAGES)[0])
    own["w"] = 2 * own["w"] / (preview @ own["w"]).std(axis=0)
    own["b"] = -preview.mean(axis=0) @ own["w"]
    _, mixtures, features = answers(apply_edits(weights, edits), IMAGES)
    assert min(np.ptp(mix, axis=0).max() for mix in mixtures) > 0.2  # between images
    head = exported.head(3, seed=0)
    wanted, blind = (np.asarray(each) @ head["w"] + head["b"] for each in features)
    assert export_parity.difference(wanted, blind) > 0.05
    arguments = (narrow.BACKBONE, weights, narrow.EPSILON, edits, head, narrow.SIZE)
    return Study(arguments, patch.prepare, {"logits": wanted})


@pytest.mark.parametrize(("name", "batch"), [("pointwise", 3), ("both", 3), ("depthwise", 1)])
def test_a_patch_that_looks_first_answers_as_in_jax(name, batch):
    arguments, prepare, wanted = study(name)
    engine = Engine(litert.export_task(*arguments, (batch,), prepare), threads=1)

    def run(inputs):
        return engine.predictions(f"run_{batch}", inputs)

    assert export_parity.worst(wanted, {signatures.IMAGES: IMAGES}, batch, run) < TOLERANCE


@pytest.mark.parametrize(("name", "pixels"), [*((name, PIXELS) for name in SPECS), ("both", 1024)])
def test_the_same_in_onnx(name, pixels):
    """With a kernel mixed for each image, and with products mixed, as on the smallest maps."""
    if not importlib.util.find_spec("onnxruntime") or not importlib.util.find_spec("onnx"):
        pytest.skip("not installed: onnx; `launch/test` installs what is missing")
    arguments, prepare, wanted = study(name)
    with products_up_to(pixels):
        graph = onnx_export.export_task(*arguments, {}, prepare)
    session = Session(graph, 1)
    for count in (1, 3):
        found = export_parity.worst(wanted, {signatures.IMAGES: IMAGES}, count, session.predictions)
        assert found < TOLERANCE
