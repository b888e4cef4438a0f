"""Our side where files are concerned: swapping a patch, and reading images to train on."""

import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from adapters.backbones import registry
from adapters.backbones.builder import build, expected_shapes
from adapters.benchmarking import cases, compilations, stand_ins
from adapters.benchmarking.cases import Case
from adapters.benchmarking.worker import Prepared
from adapters.fingerprint import fingerprint
from adapters.inference.compiled import inference, logits, parity_vector
from adapters.patches.registry import from_spec
from adapters.preprocessing import Preprocessing
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch
from adapters.store.write import write_patch
from tasks import folder, pipeline

PREPROCESSING_PIXELS = (cases.PIXELS,) * 3


def swap(case: Case) -> Prepared:
    """Reads a patch file through every check but parity, which runs the network, and applies it.

    Its fact is how many programs the next inference compiled.
    """
    table = registry.table(case.backbone)
    weights, own = stand_ins.weights(table), fingerprint(stand_ins.weights(table))
    head = stand_ins.head(table.features, cases.CLASSES)
    network = inference(build(table), case.examples, case.size)
    patch = from_spec(case.patch)
    params = patch.init(jax.random.key(0), jax.tree.map(jnp.asarray, weights))
    edits = jax.tree.map(np.asarray, patch.pack(params))
    preprocessing = _preprocessing(case).to_json()
    path = pathlib.Path(tempfile.mkdtemp()) / "benchmark.patch"
    write_patch(
        path,
        PatchContents(
            task=path.stem,
            task_version="1",
            patch=case.patch,
            backbone=case.backbone,
            fingerprint=own,
            norm="frozen",
            labels=tuple(map(str, range(cases.CLASSES))),
            metric="top1",
            scores={"validation": 0.0},
            preprocessing=preprocessing,
            parity=parity_vector(network, weights, edits, head, preprocessing),
            edits=edits,
            head=head,
        ),
    )
    shapes = expected_shapes(table)

    def run() -> dict[str, dict[str, stand_ins.Array]]:
        contents = read_patch(path, shapes=shapes, features=table.features, fingerprint=own)
        return apply_edits(weights, contents.edits)

    def facts() -> dict[str, float]:
        images = np.zeros((case.examples, case.size, case.size, 3), np.float32)
        compiled = compilations.counter()
        logits(network, run(), head, images)
        return {"programs compiled after": float(compiled())}

    return Prepared(run, facts)


def training_input(case: Case) -> Prepared:
    """Draws `case.groups` batches of training images from a folder of JPEG files."""
    root = pathlib.Path(tempfile.mkdtemp()) / "images"
    stand_ins.write_images(root)
    batches = pipeline.training_iterator(
        folder.folder_task(str(root)), _preprocessing(case), case.examples // case.groups, seed=0
    )

    return Prepared(lambda: [next(batches) for _ in range(case.groups)])


def _preprocessing(case: Case) -> Preprocessing:
    return Preprocessing(case.size, PREPROCESSING_PIXELS, PREPROCESSING_PIXELS, "crop", (0, 0, 0))
