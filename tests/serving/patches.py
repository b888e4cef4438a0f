"""Patches of the narrow network that all answer differently."""

import jax
import numpy as np

from adapters.inference.compiled import inference, parity_vector
from adapters.patches.registry import from_spec
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.training import packing
from tests import narrow

NETWORK = inference(narrow.BACKBONE, 1, narrow.SIZE)
WEIGHTS = jax.tree.map(np.asarray, narrow.weights())
FEATURES = narrow.TABLE.features


def contents(task, seed, spec="scale_bias", classes=3, size=narrow.SIZE, version="1.0.0"):
    patch = from_spec(spec)
    params = patch.init(jax.random.key(0), narrow.weights())
    params = params._replace(trained=narrow.disturbed(params.trained, seed, size=0.3))
    edits = packing.task_edits(patch, params)
    generator = np.random.default_rng(seed)
    head = {
        "w": generator.standard_normal((FEATURES, classes), np.float32),
        "b": generator.standard_normal(classes, np.float32),
    }
    network = inference(narrow.BACKBONE, 1, size) if size != narrow.SIZE else NETWORK
    preprocessing = Preprocessing(size, *narrow.PIXELS).to_json()
    return PatchContents(
        task=task,
        task_version=version,
        patch=spec,
        backbone="narrow",
        fingerprint="0" * 64,
        norm="frozen",
        labels=tuple(f"{task}_{number}" for number in range(classes)),
        metric="accuracy",
        scores={"validation": 0.5},
        preprocessing=preprocessing,
        parity=parity_vector(network, WEIGHTS, edits, head, preprocessing),
        edits=edits,
        head=head,
    )


def alone(patch, images):
    """Logits [N, classes] of images [N, H, W, 3], by the patched network itself."""
    patched = apply_edits(WEIGHTS, patch.edits)
    network = jax.vmap(narrow.BACKBONE.apply, (None, 0))
    return np.asarray(network(patched, images).features) @ patch.head["w"] + patch.head["b"]
