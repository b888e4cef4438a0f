"""Comparisons on folders of images, in this process."""

import csv
import dataclasses
import functools
import itertools
import json
import shlex

import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from adapters.errors import UnknownNameError
from adapters.experiment import comparison, training_run
from adapters.experiment.comparison import Rates
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import SettingError, settings_of
from adapters.training import interrupt, loop, tidy
from adapters.training.checkpoint import ConfigurationMismatchError
from launch import command, compare, run_flags, train
from launch.train_command import train_command
from tests.launch import small
from tests.launch.made_tasks import BRIGHTNESS, COLOURS

PATCHES = ("head_only", "scale_bias")
SHARE = "share of extractor"
SPLITS = {"": "patch", "validation": "accuracy", "test": "accuracy"}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    return [f"folder:{small.write_folder(root / name, n, 12)}" for name, n in (("a", 2), ("b", 3))]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    return small.settings(
        small.write_backbone(root / "narrow.safetensors"), recipe={"steps": 6, "warmup": 0.05}
    )


@pytest.fixture(scope="module")
def plan(names, base):
    return comparison.Plan(names, PATCHES, 1, 3, (1e-3, 1e-2), (1e-2,), base)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, plan):
    """(folder of a finished comparison, its results, its text, the splits each run opened)."""
    out = tmp_path_factory.mktemp("comparisons") / "out"
    with small.splits_opened(out) as runs:
        text = comparison.compare(
            plan, out, out / "all.csv", functools.partial(train_command, plan.tasks)
        )
    return out, out / "all.csv", text, runs


def test_rates_are_chosen_without_opening_a_test_split(finished):
    _, _, _, runs = finished
    sweeps = {name: splits for name, splits in runs.items() if name.startswith("sweep/")}
    final = {name: splits for name, splits in runs.items() if name.startswith("runs/")}
    assert len(sweeps) == 2 * len(PATCHES)
    assert all(splits == {"train", "validation"} for splits in sweeps.values())
    assert len(final) == len(PATCHES)
    assert all("test" in splits for splits in final.values())


def test_the_chosen_rates_are_the_best_on_validation(finished, plan):
    out, results, _, _ = finished
    means = {}
    for row in tidy.read(out / comparison.SWEEP):
        assert (row.split, row.metric) == ("validation", "accuracy")
        means.setdefault((row.patch, row.setting.split(", ")[-1]), []).append(row.value)
    for patch in PATCHES:
        tried = [str(rates) for rates in plan.candidates(patch)]
        best = max(tried, key=lambda rates: sum(means[patch, rates]))
        assert [p.name for p in (out / "runs" / patch).iterdir()] == [best]
        _, patch_rate, _, head_rate = best.split("_")
        commands = {row.command for row in tidy.read(results) if row.patch == patch}
        (command,) = map(shlex.split, commands)
        assert f"--patch_learning_rate={float(patch_rate)}" in command
        assert f"--head_learning_rate={float(head_rate)}" in command


def test_one_pair_of_rates_is_taken_without_a_sweep(plan, tmp_path):
    one = dataclasses.replace(plan, rates=(1e-2,))
    text = comparison.compare(one, tmp_path / "out", tmp_path / "all.csv")
    assert "scale_bias: patch rate 0.01, head rate 0.01 as given" in text
    assert not (tmp_path / "out" / "sweep").exists()


def test_the_results_have_every_row_once(finished):
    _, results, _, _ = finished
    with open(results, newline="") as file:
        rows = list(csv.DictReader(file))
    found = [
        (row["task"], row["patch"], row["seed"], row["split"])
        for row in rows
        if SPLITS[row["split"]] == row["metric"]
    ]
    assert sorted(found) == sorted(itertools.product("ab", PATCHES, "0", SPLITS))


def test_rates_are_chosen_by_last_steps(finished):
    """Without validating on the way."""
    out, _, _, _ = finished
    for part, expected in (("sweep", ("last", 0)), ("runs", (None, 5))):
        records = [json.loads(path.read_text()) for path in (out / part).rglob("run.json")]
        assert {(record["checkpoint"], record["validations"]) for record in records} == {expected}


def test_the_bytes_are_those_of_the_files(finished):
    out, results, _, _ = finished
    for row in tidy.read(results):
        if row.metric == "patch":
            (path,) = (out / "runs" / row.patch).glob(f"*/seed_0/{row.task}.patch")
            assert row.value == path.stat().st_size


def test_what_is_large_and_no_longer_needed_is_gone(finished):
    out, _, _, _ = finished
    assert not list(out.rglob(loop.CHECKPOINTS))
    assert not list((out / "sweep").rglob("*.patch"))


def test_an_unfinished_run_is_done_again_to_the_same_bytes(finished, plan):
    out, results, text, _ = finished
    before = results.read_bytes()
    *_, last = sorted(out.glob("runs/scale_bias/*/seed_0/results.csv"))
    others = {path: path.stat().st_mtime_ns for path in out.rglob("*/results.csv") if path != last}
    last.unlink()
    results.unlink()
    repeated = functools.partial(train_command, plan.tasks)
    assert comparison.compare(plan, out, results, repeated) == text
    assert results.read_bytes() == before
    assert others == {path: path.stat().st_mtime_ns for path in others}


def test_a_stopped_comparison_says_how_to_go_on(plan, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise interrupt.StoppedError("SIGTERM stopped the run after step 2 of 3.")

    monkeypatch.setattr(training_run, "run", stop)
    with pytest.raises(interrupt.StoppedError, match="after 0 of 6 runs; the same command goes on"):
        comparison.compare(plan, tmp_path / "out", tmp_path / "all.csv")


def test_rates_have_the_mean_of_their_ranks():
    """Worked out by hand; on `b` two share the places 1 and 2."""
    scores = {
        Rates(1e-3, 0.1): {"a": 0.90, "b": 0.50},
        Rates(1e-2, 0.1): {"a": 0.91, "b": 0.50},
        Rates(1e-1, 0.1): {"a": 0.92, "b": -9.0},
    }
    assert list(comparison.mean_ranks(scores).values()) == [2.25, 1.75, 2.0]


def test_scores_of_several_kinds_choose_by_rank(base, tmp_path, monkeypatch):
    """The first rates have the highest mean, the second ones the best ranks."""
    found = {
        1e-3: {"colours": 0.1, "brightness": 0.9},
        1e-2: {"colours": 0.3, "brightness": 0.4},
        3e-2: {"colours": 0.2, "brightness": -2.0},
    }

    def pretended(tasks, settings, directory, command, **options):
        own = found[settings.recipe.patch_rate]
        scores = [
            (task, split, task.metric, own[task.name])
            for task in tasks
            for split in ("validation", "test")
        ]
        sizes = [(task, "", name, 1.0) for task in tasks for name in ("patch", SHARE)]
        directory.mkdir(parents=True, exist_ok=True)
        rows = [
            tidy.Measurement(task.name, "narrow", settings.patch, "", 0, split, name, value, "", "")
            for task, split, name, value in [*scores, *sizes]
        ]
        tidy.update(directory / RESULTS, rows)

    monkeypatch.setattr(training_run, "run", pretended)
    plan = comparison.Plan([COLOURS, BRIGHTNESS], ["scale_bias"], 1, 3, list(found), (1e-2,), base)
    out = tmp_path / "out"
    text = comparison.compare(plan, out, tmp_path / "all.csv", str)
    assert text.startswith("Score on test in %, 1 seed\n")
    assert "brightness (R^2)" in text
    assert "colours (mean average precision)" in text
    assert "patch rate 0.01, head rate 0.01 chosen of 3 (mean rank 1.5 over tasks" in text
    assert not (out / comparison.PICTURE).exists()


def arguments(plan, out):
    """The finished comparison as a command line."""
    return [
        *("compare", f"--tasks={','.join(plan.tasks)}", f"--patches={','.join(PATCHES)}"),
        *("--seeds=1", "--steps=6", "--sweep_steps=3", "--rates=1e-3,1e-2", "--head_rates=1e-2"),
        *("--backbone=narrow", f"--weights={plan.base.weights}", f"--size={plan.base.size}"),
        *("--groups=2", "--examples=4", "--weight_decay=1e-4", f"--out={out}"),
    ]


def test_the_command_goes_on_with_a_finished_comparison(finished, plan, tmp_path, capsys):
    out, results, text, _ = finished
    picture = tmp_path / "images" / "picture.png"
    with flagsaver.flagsaver():
        flags.FLAGS([*arguments(plan, out), f"--results={results}", f"--picture={picture}"])
        compare.main(["compare"])
    assert capsys.readouterr().out.startswith(text)
    with Image.open(picture) as image:
        assert min(image.size) > 300


def test_rates_that_are_no_numbers_are_refused(plan, tmp_path):
    with flagsaver.flagsaver():
        flags.FLAGS([*arguments(plan, tmp_path), "--rates=1e-3,fast"])
        with pytest.raises(SettingError, match=r"rates must hold numbers: .*'fast'") as refused:
            compare.main(["compare"])
        assert command.in_words(refused.value).endswith("(--rates)")


def test_another_setting_in_the_same_folder_is_refused(finished, plan, base):
    out, results, _, _ = finished
    changed = small.settings(base.weights, examples=2, recipe={"steps": 6})
    other = comparison.Plan(plan.tasks, PATCHES, 1, 3, plan.rates, plan.head_rates, changed)
    with pytest.raises(ConfigurationMismatchError, match="examples was 4, is now 2"):
        comparison.compare(other, out, results)


def test_every_patch_tries_the_same_number_of_rates(names, base):
    plan = comparison.Plan(names, PATCHES, 1, 3, (3e-4, 1e-3, 3e-3), (1e-3, 1e-2), base)
    assert plan.candidates("scale_bias") == [
        *(Rates(3e-4, 1e-3), Rates(3e-4, 1e-2)),
        *(Rates(1e-3, 1e-3), Rates(1e-3, 1e-2)),
        *(Rates(3e-3, 1e-3), Rates(3e-3, 1e-2)),
    ]
    heads = [1e-4, 3e-4, 1e-3, 1e-2, 3e-2, 1e-1]
    assert plan.candidates("head_only") == [Rates(0.0, rate) for rate in heads]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"seeds": 0}, SettingError, "seeds must be 1 or more"),
        ({"sweep_steps": 0}, SettingError, "sweep_steps must be 1 or more"),
        (
            {"rates": ()},
            SettingError,
            "rates must be one or more .* not \\.",
        ),
        ({"rates": (1e-3, 0.0)}, SettingError, "rates must be one .* not 0.001,0\\."),
        ({"head_rates": (1e-3, 1e-3)}, SettingError, "different numbers"),
        ({"patches": ("bias", "bias")}, SettingError, "each once"),
        ({"patches": ("bais",)}, UnknownNameError, "Did you mean 'bias'"),
    ],
)
def test_plans_out_of_range_are_refused(names, base, changes, error, said):
    values = {"patches": PATCHES, "seeds": 1, "sweep_steps": 3, "rates": (1e-3,)}
    values = {**values, "head_rates": (1e-2,), **changes}
    with pytest.raises(error, match=said):
        comparison.Plan(tasks=names, base=base, **values)


@pytest.mark.parametrize("version", [None, "1.2.0"])
def test_the_command_column_repeats_the_run(names, base, version):
    base = dataclasses.replace(base, patch_version=version)
    name, *arguments = shlex.split(train_command(names, base))
    assert name == "launch/train"
    with flagsaver.flagsaver():
        assert flags.FLAGS([name, *arguments]) == [name]
        assert run_flags.TASKS.value == names
        assert settings_of(**train.values()) == base
