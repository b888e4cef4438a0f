"""The narrow backbone exported, and patch files for it, each made from the patches' own table."""

import functools
import io
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image

from adapters.export import litert
from adapters.fingerprint import fingerprint
from adapters.preprocessing import Preprocessing, decode, normalise, prepare
from adapters.runtime import signatures
from adapters.runtime.graph_file import Graph
from adapters.store import parity, write
from adapters.store.contents import Parity, PatchContents
from adapters.store.edits import apply_edits
from adapters.training import packing
from tests import narrow
from tests.patches.table import PLAIN
from tests.quick import QUICKEST

quickly = functools.partial(jax.jit, compiler_options=QUICKEST)

CLASSES = 8
SETTINGS = litert.Settings(CLASSES, (narrow.SIZE,), (1, 4), signatures.KINDS)
PREPROCESSING = Preprocessing(narrow.SIZE, *narrow.PIXELS)


@functools.cache
def weights():
    """The narrow backbone's, in numpy."""
    return jax.tree.map(np.asarray, narrow.weights())


@functools.cache
def graph() -> Graph:
    """The narrow backbone, with signatures of every kind."""
    mark = fingerprint(weights())
    return litert.export_backbone(
        "narrow", narrow.BACKBONE, weights(), mark, narrow.EPSILON, narrow.PIXELS, SETTINGS
    )


@functools.cache
def int8_graph() -> Graph:
    """The same with kernels of int8, and other batches."""
    return litert.export_backbone(
        *("narrow", narrow.BACKBONE, weights(), fingerprint(weights())),
        *(narrow.EPSILON, narrow.PIXELS, SETTINGS._replace(batches=(1, 2), kernels=litert.INT8)),
    )


@functools.cache
def edits(entry, seed=2):
    """What a file of this patch could hold after training."""
    params = quickly(entry.patch.init)(jax.random.key(0), narrow.weights())
    moved = narrow.disturbed((params.trained, params.measured), seed)
    # To both sides of where they began: scores of masks cross their threshold, those of gates not.
    trained = jax.tree.map(lambda leaf: np.asarray(leaf) - 0.05, moved[0])
    return packing.task_edits(entry.patch, params._replace(trained=trained, measured=moved[1]))


def head(classes, seed):
    generator = np.random.default_rng(seed)
    return {
        "w": generator.standard_normal((16, classes), np.float32),
        "b": generator.standard_normal(classes, np.float32),
    }


@quickly
def features(weights, images):
    """JAX's, unfolded."""
    return jax.vmap(narrow.BACKBONE.apply, (None, 0))(weights, images).features


def contents(
    task: str, entry=PLAIN[2], seed=2, classes=3, preprocessing=PREPROCESSING, image=None, **changes
) -> PatchContents:
    """A patch whose parity vector JAX has computed; `image` is another seed of its image."""
    own, mine = edits(entry, seed), head(classes, seed)
    number = parity.seed_of(preprocessing.to_json()) if image is None else image
    shape = (preprocessing.size, preprocessing.size, 3)
    images = parity.seeded_image(number, shape)[None]

    def logits(patched):
        (found,) = np.asarray(features(patched, images)) @ mine["w"] + mine["b"]
        return tuple(map(float, found))

    exact = logits(apply_edits(weights(), own))
    coarse = rounded(apply_edits(rounded(weights()), own))
    fields = {
        "task": task,
        "task_version": "1.0.0",
        "patch": entry.name,
        "backbone": "narrow",
        "fingerprint": fingerprint(weights()),
        "norm": entry.norm,
        "labels": tuple(f"{task}_{label}" for label in range(classes)),
        "metric": "top1",
        "scores": {"validation": 0.5},
        "preprocessing": preprocessing.to_json(),
        "parity": Parity(number, shape, exact, 1e-4, logits(coarse)),
        "edits": own,
        "head": mine,
    }
    return PatchContents(**{**fields, **changes})


def rounded(weights):
    """Every kernel to 127 steps to either side of zero, in each output channel."""

    def one(kernel):
        step = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0) / np.float32(127)
        step[step == 0] = 1
        return (np.rint(kernel / step) * step).astype(np.float32)

    return {
        module: {name: one(leaf) if name == "w" else leaf for name, leaf in leaves.items()}
        for module, leaves in weights.items()
    }


def patch_file(folder: pathlib.Path, made: PatchContents) -> pathlib.Path:
    path = folder / f"{made.task}.patch"
    write.write_patch(path, made)
    return path


def png(seed: int) -> bytes:
    """An image file, not of the network's size."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def logits_of(made, image):
    """JAX's logits of an image file."""
    pixels = prepare(decode(image), PREPROCESSING)
    return logits_of_image(made, normalise(pixels, PREPROCESSING))


def logits_of_image(made, image):
    """JAX's logits of an image [H, W, 3], normalised."""
    patched = apply_edits(weights(), made.edits)
    return np.asarray(features(patched, image[None]))[0] @ made.head["w"] + made.head["b"]


def wanted(made, image):
    """JAX's probabilities of an image file, by label."""
    logits = logits_of(made, image)
    scores = np.exp(logits.astype(np.float64))
    return dict(zip(made.labels, scores / scores.sum(), strict=True))


def close(answer, made, image):
    expected = wanted(made, image)
    assert answer.label == max(expected, key=expected.get)
    assert answer.probabilities == pytest.approx(expected, abs=1e-4)
    assert list(answer.probabilities.values()) == sorted(
        answer.probabilities.values(), reverse=True
    )
