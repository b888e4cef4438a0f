"""`mobilenet_v2` is the narrow network here, so that what users write trains in seconds."""

import dataclasses

import jax
import numpy as np
import pytest

from adapters.backbones import registry
from adapters.backbones.checkpoint import Checkpoint
from adapters.backbones.pretrained import PRETRAINED
from adapters.experiment import backbones, training_run
from tests import narrow
from tests.cheap_runs import little_beside_training


@pytest.fixture(scope="package", autouse=True)
def _a_narrow_backbone_by_the_default_s_name():
    checkpoint = Checkpoint(
        table="narrow",
        weights=jax.tree.map(np.asarray, narrow.weights()),
        head=None,
        padding="same",
        epsilon=narrow.EPSILON,
        mean=narrow.PIXELS[0],
        std=narrow.PIXELS[1],
        label_offset=0,
        source="made for a test",
        licence="none",
    )
    with little_beside_training(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "CHECKPOINTS_A_RUN", 3)
        patch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
        patch.setattr(backbones, "pretrained", lambda name: checkpoint)
        published = PRETRAINED["mobilenet_v2"]
        patch.setitem(PRETRAINED, "mobilenet_v2", dataclasses.replace(published, table="narrow"))
        yield


@pytest.fixture(scope="session")
def pictures():
    """Noisy squares of three greys: uint8 [60, 20, 24, 3], and the name of each one's grey."""
    generator = np.random.default_rng(0)
    names = np.asarray(["black", "grey", "white"] * 20)
    grey = np.asarray([0, 128, 255] * 20).reshape(-1, 1, 1, 1)
    noise = generator.integers(-60, 60, (60, 20, 24, 3))
    return np.clip(grey + noise, 0, 255).astype(np.uint8), names
