"""A network that looks first, from training to its study and its own graph, in this process."""

import csv
import dataclasses
import importlib.util
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.experiment import (
    backbones,
    evaluation,
    exporting,
    exporting_onnx,
    previewing,
    training_run,
)
from adapters.experiment import graph_evaluation as graphs
from adapters.experiment.settings import SettingError
from adapters.patches.registry import from_spec
from adapters.runtime import signatures
from adapters.runtime.engine import Engine
from adapters.store import parity
from adapters.store.contents import check_without_look
from adapters.store.errors import LooksFirstError, ParityError
from adapters.store.read import read_patch
from adapters.store.write import write_patch
from launch import command
from tasks import registry
from tests.launch import small

SPEC = "basisnet(preview=narrow, preview_size=16, bases=2)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder of a finished run, the task's name for commands)."""
    root = tmp_path_factory.mktemp("preview")
    folder = f"folder:{small.write_folder(root / 'shades', 3)}"
    settings = small.settings(
        small.write_backbone(root / "narrow.safetensors"),
        patch=SPEC,
        train_shared=True,
        recipe={"shared_rate": 3e-3},
    )
    training_run.run(registry.resolve([folder]), settings, root / "out", "a test")
    return root / "out", folder


def opened(run):
    out, task = run
    weights = str(out / "backbone.safetensors")
    return evaluation.open_patch(str(out / "shades.patch"), "test", task, weights)


def test_a_file_gives_the_score_it_was_saved_with(run):
    out, task = run
    weights = str(out / "backbone.safetensors")
    line = evaluation.evaluate(str(out / "shades.patch"), "test", task, weights, data_dir=None)
    assert "identical to the saved score" in str(line)
    with open(out / "results.csv") as file:
        assert all("shared weights trained" in row["setting"] for row in csv.DictReader(file))


def test_training_moves_all_that_is_shared(run):
    """Bases, the preview network and its coefficients among it; only statistics stay."""
    moved = backbones.load("narrow", str(run[0] / "backbone.safetensors")).weights
    before = backbones.load("narrow", str(run[0].parent / "narrow.safetensors")).weights
    key = jax.random.fold_in(jax.random.key(0), training_run.EXTENSION)
    drawn = from_spec(SPEC).extend(key, jax.tree.map(jnp.asarray, before))
    assert drawn.keys() == moved.keys()
    for path, leaves in drawn.items():
        for name, leaf in leaves.items():
            same = np.array_equal(leaf, moved[path][name])
            assert same == (name in ("mean", "var")), f"{path}/{name}"


def test_without_training_the_shared_weights_it_is_refused(run, tmp_path):
    settings = small.settings(run[0].parent / "narrow.safetensors", patch=SPEC)
    with pytest.raises(SettingError, match="nothing would train: give train_shared") as refused:
        training_run.run(registry.resolve([run[1]]), settings, tmp_path / "out", "a test")
    assert "--train_shared, --weights" in command.in_words(refused.value)


def test_the_file_holds_two_classifiers_and_no_edits(run):
    contents = read_patch(run[0] / "shades.patch")
    assert contents.edits == {}
    assert set(contents.head) == {"w", "b", "preview/w", "preview/b"}
    assert contents.head["preview/w"].shape == (16, 3)
    with pytest.raises(LooksFirstError, match="'preview'"):
        check_without_look(contents)


def test_the_study_agrees_with_evaluation_where_nothing_stops(run):
    study = previewing.Preview(opened(run), None)
    split = study.both("validation")
    points = [study.point(split, threshold) for threshold in previewing.thresholds()]
    always, never = points[0], points[-1]
    assert (always.stopped, never.stopped) == (1.0, 0.0)
    assert always.multiply_adds == study.look
    assert never.multiply_adds == study.look + study.finish
    saved = read_patch(run[0] / "shades.patch").scores["validation"]
    assert never.accuracy == pytest.approx(saved, abs=1e-12)
    chosen = previewing.choose(points, loss=0.0)
    assert chosen.accuracy >= never.accuracy
    assert previewing.choose(points, loss=1.0).stopped == 1.0
    with pytest.raises(SettingError, match="loss"):
        previewing.choose(points, loss=-0.1)
    assert all(seconds > 0 for seconds in study.seconds("validation", previewing.NEVER))
    mixtures = study.mixtures("validation")
    assert set(mixtures) == {
        *("block_01/project", "block_02/expand", "block_02/project"),
        *("block_03/expand", "block_03/project"),
    }
    for shares in mixtures.values():
        assert shares.shape == (len(split.labels), 2)
        assert shares.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert previewing.picture("shades", points, chosen, mixtures).startswith(b"\x89PNG")


NOISE = exporting.Comparison((), 1e-4)


def written(run, out, kind):
    """What is printed of the task's own graph of the run's patch, once it is written."""
    patch = str(run[0] / "shades.patch")
    if kind == "onnx":
        return exporting_onnx.task_graph(loaded(run), patch, NOISE, out)
    return exporting.task_graph(loaded(run), patch, (1, 2), NOISE, out)


def loaded(run):
    return backbones.load("narrow", str(run[0] / "backbone.safetensors"))


@pytest.mark.parametrize(
    ("kind", "needed"), [("litert", "litert_converter"), ("onnx", "onnxruntime")]
)
def test_it_has_a_graph_of_its_own(run, tmp_path, kind, needed):
    if not importlib.util.find_spec(needed):
        pytest.skip(f"not installed: {needed}; `launch/test` installs what is missing")
    out, made = tmp_path / "shades", read_patch(run[0] / "shades.patch")
    text = written(run, out, kind)
    assert text.startswith(f"{out}: shades on narrow, 3 classes")
    found = [float(far) for far in re.findall(r"^  \w+ +(\S+)$", text, re.M)]
    assert len(found) == 2
    assert max(found) < 1e-5
    images = parity.seeded_image(made.parity.seed, made.parity.shape)[None]
    if kind == "onnx":
        from adapters.export.onnx.session import Session

        logits = Session(out.read_bytes(), 1).run({signatures.IMAGES: images})
    else:
        engine = Engine(out.read_bytes(), threads=1)
        logits = engine.run("run_1", {signatures.IMAGES: images}, signatures.LOGITS)
    np.testing.assert_allclose(logits[0], made.parity.logits, atol=1e-3)


def test_a_graph_is_made_of_no_file_that_states_other_logits(run, tmp_path):
    made = read_patch(run[0] / "shades.patch")
    other = [logit + 2 * made.parity.tolerance for logit in made.parity.logits]
    stated = dataclasses.replace(made.parity, logits=tuple(other))
    path = tmp_path / "shades.patch"
    write_patch(path, dataclasses.replace(made, parity=stated))
    with pytest.raises(ParityError, match="logits differ"):
        exporting.task_graph(loaded(run), str(path), (1,), NOISE, tmp_path / "shades")
    assert not (tmp_path / "shades").exists()


def test_elsewhere_it_is_refused_with_the_way_out(run, tmp_path):
    patch, weights = str(run[0] / "shades.patch"), str(run[0] / "backbone.safetensors")
    way_out = "Export the task's own graph, or run the patch in JAX"
    with pytest.raises(LooksFirstError, match=way_out):
        exporting_onnx.graph_inputs(loaded(run), patch, signatures.NORMS, tmp_path / "inputs")
    with pytest.raises(LooksFirstError, match=way_out):
        graphs.compare(patch, "backbone.onnx", "test", run[1], weights, None)
    assert not (tmp_path / "inputs").exists()
