"""Trained patches in a real Chromium: JAX's logits, and its answers to whole test splits."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import evaluation, opening
from adapters.inference.compiled import logits
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from tasks import loading, pipeline
from tests import imports
from tests.javascript import chromium

pytestmark = pytest.mark.registry
TASKS = ("digits", "textures")
RUN = """async (task) => {
  const { network } = await import("/site/page.mjs");
  const { openPicture, rgbPixels } = await import("/site/picture.mjs");
  const { networkInput } = await import("/site/preprocessing.mjs");
  const { preprocessing } = await network.install(task);
  const found = [];
  for (const name of await (await fetch(`/${task}/names.json`)).json()) {
    const file = await (await fetch(`/${task}/${name}`)).blob();
    const picture = rgbPixels(await openPicture(file), preprocessing.background);
    const { predictions } = await network.run(task, networkInput(picture, preprocessing));
    found.push([...predictions[0].logits.values]);
  }
  return found;
}"""


@pytest.fixture(scope="module", autouse=True)
def _needed():
    chromium.skip_unless_here()


def called(*arguments):
    subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        cwd=imports.ROOT,
        env={**os.environ, "PYTHONPATH": str(imports.ROOT)},
        check=True,
        timeout=1800,
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder with trained patches."""
    out = tmp_path_factory.mktemp("run") / "out"
    called("launch.train", f"--tasks={','.join(TASKS)}", "--steps=30", f"--out={out}")
    return out


@pytest.fixture(scope="module")
def root(tmp_path_factory, out):
    """A folder with their page, and every image of their test splits as the file it came from."""
    root = tmp_path_factory.mktemp("served")
    patches = [str(out / f"{task}.patch") for task in TASKS]
    called("launch.page", *patches, f"--out={root / 'site'}")
    for name in TASKS:
        opened = evaluation.open_patch(str(out / f"{name}.patch"), "test", None, None)
        source = loading.open_split(opened.task, "test", None)
        (root / name).mkdir()
        files = [f"{index}.png" for index in range(len(source))]
        for example, file in zip(source, files, strict=True):
            Image.fromarray(example["image"]).save(root / name / file)
        (root / name / "names.json").write_text(json.dumps(files))
    return root


@pytest.fixture(scope="module")
def page(root):
    with chromium.opened(root) as opened:
        opened.open("site")
        yield opened


@pytest.mark.parametrize("name", TASKS)
def test_every_image_of_the_test_split_gets_jax_s_logits_and_answer(page, out, name):
    opened = evaluation.open_patch(str(out / f"{name}.patch"), "test", None, None)
    contents = opened.contents
    patched = apply_edits(opened.backbone.weights, contents.edits)
    wanted = []
    for batch in pipeline.evaluation_batches(
        opened.task, "test", opened.preprocessing, opening.EXAMPLES
    ):
        images = normalise(batch.inputs["image"], opened.preprocessing)
        wanted.append(logits(opened.network, patched, contents.head, images)[batch.mask])
    got = np.asarray(page.evaluate(RUN, name))
    wanted = np.concatenate(wanted)
    assert len(wanted) > 50
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    np.testing.assert_array_equal(got.argmax(axis=1), wanted.argmax(axis=1))
    assert page.asked.count("/site/backbone.onnx") == 1
