"""A backbone with bases and a preview network on a device: coefficients are folded into kernels."""

import functools
from unittest import mock

import jax
import numpy as np
import pytest

from adapters.backbones import registry
from adapters.export import litert
from adapters.fingerprint import fingerprint
from adapters.patches.basisnet import basisnet
from adapters.patches.registry import from_spec
from adapters.runtime import graph_file
from adapters.runtime.device import Device
from adapters.store import parity, write
from adapters.store.contents import Parity, PatchContents
from adapters.store.edits import apply_edits
from adapters.store.errors import LooksFirstError
from adapters.training import packing
from tests import narrow
from tests.device import exported

SHAPE = (narrow.SIZE, narrow.SIZE, 3)


@functools.cache
def extended():
    """The narrow backbone as a run of `basisnet` leaves it, in numpy."""
    with mock.patch.dict(registry.TABLES, narrow=lambda: narrow.TABLE):
        patch = basisnet(preview="narrow", preview_size=16)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    return jax.tree.map(np.asarray, weights)


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    path = tmp_path_factory.mktemp("bases") / "narrow.tflite"
    graph = litert.export_backbone(
        *("narrow", narrow.BACKBONE, extended(), fingerprint(extended()), narrow.EPSILON),
        *(narrow.PIXELS, exported.SETTINGS),
    )
    assert not any(name.startswith("preview/") for name in graph.shapes)
    graph_file.write_graph(path, graph)
    return Device(path)


def logits(edits, head):
    """JAX's, of the seeded image."""
    patched = apply_edits(extended(), edits)
    features = exported.features(patched, parity.seeded_image(0, SHAPE)[None])
    return np.asarray(features)[0] @ head["w"] + head["b"]


def contents(edits, head):
    return PatchContents(
        task="one",
        task_version="1.0.0",
        patch="coefficients",
        backbone="narrow",
        fingerprint=fingerprint(extended()),
        norm="frozen",
        labels=("a", "b", "c"),
        metric="top1",
        scores={"validation": 0.5},
        preprocessing=exported.PREPROCESSING.to_json(),
        parity=Parity(0, SHAPE, tuple(map(float, logits(edits, head))), 1e-3),
        edits=edits,
        head=head,
    )


def test_coefficients_answer_as_in_jax(device, tmp_path):
    patch = from_spec("coefficients+scale_bias")
    params = patch.init(jax.random.key(0), extended())
    trained = narrow.disturbed(params.trained, seed=1, size=0.5)
    edits = packing.task_edits(patch, params._replace(trained=trained))
    assert set(edits) == {"mixture", "replace"}
    made = contents(edits, exported.head(3, seed=0))
    assert np.abs(logits({}, made.head) - made.parity.logits).max() > 0.1
    path = tmp_path / "one.patch"
    write.write_patch(path, made)
    assert device.install(path) == "one"  # parity is checked
    assert device.run("one", exported.png(1)).label in made.labels


def test_a_patch_that_looks_first_is_refused_by_name(device, tmp_path):
    head = exported.head(3, seed=0)
    both = {**head, **{f"preview/{leaf}": array for leaf, array in head.items()}}
    path = tmp_path / "one.patch"
    write.write_patch(path, contents({}, both))
    with pytest.raises(
        LooksFirstError, match=r"looks at every image.* Export the task's own graph"
    ):
        device.install(path)
