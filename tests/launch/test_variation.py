"""Variations on folders of images, in this process; the command itself in another."""

import itertools
import re
import shlex
import statistics

import pytest

from adapters.errors import UnknownNameError
from adapters.experiment import training_run, variation
from adapters.experiment.run_files import RESULTS
from adapters.experiment.settings import SettingError
from adapters.training import interrupt, loop, tidy
from adapters.training.checkpoint import ConfigurationMismatchError
from launch.flag_names import FLAGS
from launch.train_command import train_command
from tests import commands
from tests.launch import small
from tests.launch.made_tasks import BRIGHTNESS, COLOURS, LIGHTS

NAMES = ("as given", "norm=calibrated")
TYPED = {flag: setting for setting, flag in FLAGS.items()}  # as launch/vary reads them


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    return [f"folder:{small.write_folder(root / name, n, 12)}" for name, n in (("a", 2), ("b", 3))]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="module")
def base(weights):
    return small.settings(weights, recipe={"steps": 3})


@pytest.fixture(scope="module")
def chosen(base):
    return variation.variants(base, ["norm=frozen,calibrated"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory, names, base, chosen):
    """(folder of finished runs, their results, the table, the splits each run opened)."""
    out = tmp_path_factory.mktemp("variations") / "out"
    with small.splits_opened(out) as runs:
        text = variation.vary(names, base, chosen, 1, out, out / "all.csv", train_command)
    return out, out / "all.csv", text, runs


@pytest.fixture
def pretended(monkeypatch):
    """Settings of each run asked for; a run only writes the accuracies that `measure` gives."""
    asked = []

    def run(tasks, settings, directory, command, resume, test):
        asked.append(settings)
        rows = [
            tidy.Measurement(task.name, "narrow", "", "", settings.seed, *figure, command)
            for task in tasks
            for figure in (
                ("validation", "accuracy", measure(task.name, settings), "fraction"),
                ("", "patch", 4_000, "bytes"),
            )
        ]
        tidy.append(directory / RESULTS, rows)

    def measure(task, settings):
        if settings.size == 16:
            raise loop.DivergedError("the loss is not finite")
        return {"a": 0.5, "b": 0.9}[task] - 0.2 * settings.seed * (task == "a")

    monkeypatch.setattr(training_run, "run", run)
    return asked


def cells(text):
    title, head, rule, *lines = text.splitlines()
    assert title == "Accuracy on validation in %"
    assert rule == "-" * len(head)
    return [re.split(" {2,}", line.rstrip()) for line in (head, *lines)]


def test_no_test_split_is_opened(finished):
    _, _, _, runs = finished
    assert runs == {f"runs/{name}/seed_0": {"train", "validation"} for name in NAMES}


def test_the_results_have_every_measurement_once_under_its_variant(finished):
    _, results, _, _ = finished
    rows = tidy.read(results)
    found = [(row.task, row.setting.split("; ")[1], row.metric, row.split) for row in rows]
    beside = ("accuracy", "balanced accuracy", "majority baseline")
    figures = [
        *((name, "validation") for name in beside),
        ("step", ""),
        ("patch", ""),
        ("share of extractor", ""),
    ]
    expected = itertools.product("ab", NAMES, figures)
    assert sorted(found) == sorted((task, name, *figure) for task, name, figure in expected)
    for row in rows:
        norm = "calibrated" if row.setting.endswith("calibrated") else "frozen"
        assert f"--norm={norm}" in shlex.split(row.command)


def test_the_table_holds_the_accuracies_of_the_rows(finished):
    out, results, text, _ = finished
    assert (out / variation.TABLE).read_text() == text + "\n"
    head, *lines = cells(text)
    assert head == ["setting", "a", "b", "mean", "± over seeds"]
    for name, line in zip(NAMES, lines, strict=True):
        a, b = (
            100 * row.value
            for row in sorted(tidy.read(results), key=lambda row: row.task)
            if tidy.is_score(row) and row.setting.endswith(f"; {name}")
        )
        assert line[0] == name
        assert [float(cell) for cell in line[1:3]] == pytest.approx([a, b], abs=0.051)
        assert float(line[3]) == pytest.approx((a + b) / 2, abs=0.0051)
        assert line[4] == "-"


def test_what_is_large_is_gone(finished):
    out, _, _, _ = finished
    assert not list(out.rglob(loop.CHECKPOINTS))
    assert not list(out.rglob("*.patch"))


def test_finished_runs_are_only_read(finished, names, base, chosen, pretended):
    out, results, text, _ = finished
    before = results.read_bytes()
    assert variation.vary(names, base, chosen, 1, out, results) == text
    assert results.read_bytes() == before
    assert not pretended


def test_the_command_goes_on_with_finished_runs(finished, names, base):
    out, results, text, _ = finished
    flags = [
        *(f"--tasks={','.join(names)}", "--values=norm=frozen,calibrated", "--steps=3"),
        *("--patch_learning_rate=3e-3", "--head_learning_rate=1e-2", "--weight_decay=1e-4"),
        *("--backbone=narrow", f"--weights={base.weights}", f"--size={base.size}"),
        *("--groups=2", "--examples=4", f"--out={out}", f"--results={results}"),
    ]
    ended = commands.run("tests.launch.small_vary", *flags)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(text)


def test_more_values_and_seeds_run_nothing_again(names, base, tmp_path, pretended):
    def vary(values, seeds):
        chosen = variation.variants(base, values)
        variation.vary(names, base, chosen, seeds, tmp_path / "out", tmp_path / "all.csv")
        done = [(settings.size, settings.seed) for settings in pretended]
        pretended.clear()
        return done

    assert vary(["size=24"], 1) == [(32, 0), (24, 0)]
    assert vary(["size=24,48"], 1) == [(48, 0)]
    assert vary(["size=48"], 2) == [(32, 1), (48, 1)]


def test_tasks_apart_have_runs_of_their_own(names, base, chosen, tmp_path, pretended):
    out, results = tmp_path / "out", tmp_path / "all.csv"
    text = variation.vary(names, base, chosen[:1], 1, out, results, train_command, apart=True)
    assert cells(text)[1:] == [["as given", "50.0", "90.0", "70.00", "-"]]
    scores = [row for row in tidy.read(results) if tidy.is_score(row)]
    assert [row.setting for row in scores] == [", each task alone; as given"] * 2
    told = [shlex.split(row.command)[1] for row in scores]
    assert told == [f"--tasks={name}" for name in names]
    assert {path.parent.name for path in out.rglob(RESULTS)} == {"a", "b"}
    with pytest.raises(ConfigurationMismatchError, match="apart"):
        variation.vary(names, base, chosen[:1], 1, out, results)


def test_the_table_averages_over_seeds_and_names_what_diverged(names, base, tmp_path, pretended):
    chosen = variation.variants(base, ["size=16"])
    out, results = tmp_path / "out", tmp_path / "all.csv"
    text = variation.vary(names, base, chosen, 2, out, results)
    spread = statistics.stdev([70, 60])
    assert cells(text)[1:] == [
        ["as given", "40.0", "90.0", "65.00", f"{spread:.2f}"],
        ["size=16", "-", "-", "diverged"],
    ]
    assert len(pretended) == 4
    assert {row.setting for row in tidy.read(results)} == {"; as given"}


def test_scores_of_several_kinds_have_no_mean(base, tmp_path, monkeypatch):
    def pretended(tasks, settings, directory, command, **options):
        values = zip(tasks, (0.25, -0.5), strict=True)
        directory.mkdir(parents=True, exist_ok=True)
        rows = [
            tidy.Measurement(
                *(task.name, "narrow", "", "", settings.seed, "validation", task.metric),
                *(value, "fraction", command),
            )
            for task, value in values
        ]
        tidy.append(directory / RESULTS, rows)

    monkeypatch.setattr(training_run, "run", pretended)
    chosen = variation.variants(base, [])
    tasks = [COLOURS, BRIGHTNESS]
    out, results = tmp_path / "out", tmp_path / "all.csv"
    title, *lines = variation.vary(tasks, base, chosen, 2, out, results).splitlines()
    assert title == "Score on validation in %"
    head, _, line = (re.split(" {2,}", line) for line in lines)
    assert head[1:3] == ["colours (mean average precision)", "brightness (R^2)"]
    assert line == ["as given", "25.0", "-50.0", "-", "-"]


def test_heads_are_tried_on_tasks_of_their_kind(base, tmp_path, monkeypatch):
    seen = {}

    def pretended(tasks, settings, directory, command, **options):
        seen[settings.head] = [task.head for task in tasks]
        directory.mkdir(parents=True, exist_ok=True)
        known = (settings.seed, "validation", "mIoU", 0.5, "fraction", command)
        rows = [tidy.Measurement(task.name, "narrow", "", "", *known) for task in tasks]
        tidy.append(directory / RESULTS, rows)

    monkeypatch.setattr(training_run, "run", pretended)
    other = "segmentation(low=none, high=stride_2)"
    chosen = variation.variants(base, [f"head={other}"])
    variation.vary([LIGHTS, COLOURS], base, chosen, 1, tmp_path / "out", tmp_path / "all.csv")
    assert seen == {None: [LIGHTS.head, COLOURS.head], other: [other, COLOURS.head]}


def test_a_stopped_variation_says_how_far_it_came(names, base, tmp_path, pretended, monkeypatch):
    run = training_run.run

    def stop(tasks, settings, *arguments, **options):
        if settings.size == 24:
            raise interrupt.StoppedError("SIGTERM stopped the run after step 2 of 3.")
        run(tasks, settings, *arguments, **options)

    monkeypatch.setattr(training_run, "run", stop)
    chosen = variation.variants(base, ["size=24"])
    with pytest.raises(interrupt.StoppedError, match=r"after 2 of 4 runs; .* goes on .*SIGTERM"):
        variation.vary(names, base, chosen, 2, tmp_path / "out", tmp_path / "all.csv")


def test_another_base_in_the_same_folder_is_refused(finished, names, weights):
    out, results, _, _ = finished
    other = small.settings(weights, examples=2, recipe={"steps": 3})
    with pytest.raises(ConfigurationMismatchError, match="examples was 4, is now 2"):
        variation.vary(names, other, variation.variants(other, []), 1, out, results)


def test_no_seeds_are_refused_before_anything_is_written(names, base, chosen, tmp_path):
    with pytest.raises(SettingError, match="seeds must be 1 or more, not 0"):
        variation.vary(names, base, chosen, 0, tmp_path / "out", tmp_path / "all.csv")
    assert not list(tmp_path.iterdir())


def test_values_follow_the_base_in_order_without_repeats(base):
    texts = ["size=48,32,24", "norm=ema,frozen", "size=24,048,16", "checkpoint=last"]
    found = [variant.name for variant in variation.variants(base, texts)]
    assert found == ["as given", "size=48", "size=24", "norm=ema", "size=16", "checkpoint=last"]


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("size=48", "--size=48"),
        ("groups=4", "--groups=4"),
        ("examples=2", "--examples=2"),
        ("sampling=proportional", "--sampling=proportional"),
        ("sampling=temperature(tau=2.5)", "--sampling=temperature(tau=2.5)"),
        ("augmentation=wide", "--augmentation=wide"),
        ("balance=classes", "--balance=classes"),
        ("norm=ema", "--norm=ema"),
        ("steps=7", "--steps=7"),
        ("validations=7", "--validations=7"),
        ("patience=7", "--patience=7"),
        ("patch_learning_rate=1", "--patch_learning_rate=1.0"),
        ("head_learning_rate=1", "--head_learning_rate=1.0"),
        ("warmup=5e-1", "--warmup=0.5"),
        ("weight_decay=1", "--weight_decay=1.0"),
        ("label_smoothing=0.5", "--label_smoothing=0.5"),
    ],
)
def test_a_value_keeps_its_type_and_changes_no_other_flag(base, text, argument):
    _, variant = variation.variants(base, [text], TYPED)
    given, changed = (
        set(shlex.split(train_command(["a"], settings))) for settings in (base, variant.settings)
    )
    assert changed - given == {argument}
    assert len(given - changed) == 1


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("size", SettingError, "values must be a setting and values, .* not size\\."),
        ("size=", SettingError, "values must be .* not size=\\."),
        ("size=24,,48", SettingError, "values must be .* not size=24,,48\\."),
        ("size=24=48", SettingError, "values must be .* not size=24=48\\."),
        ("size=24.5", SettingError, "values holds size=24.5: .*'24.5'"),
        ("warmup=long", SettingError, "values holds warmup=long: .*'long'"),
        ("size=48,0", SettingError, "size must be 1 or more, not 0"),
        ("groups=3", SettingError, "groups is 3, which 2 devices cannot share"),
        ("patch_learning_rate=nan", SettingError, "patch_rate must be 0 or more"),
        ("nrm=ema", UnknownNameError, "no setting is called 'nrm'. Did you mean 'norm'"),
        ("seed=1", UnknownNameError, "no setting is called 'seed'"),
        ("norm=calibrate", UnknownNameError, "Did you mean 'calibrated'"),
        ("augmentation=colours", UnknownNameError, "Did you mean 'colour'"),
        ("sampling=unifrom", UnknownNameError, "Did you mean 'uniform'"),
    ],
)
def test_values_that_cannot_be_are_refused(base, text, error, said):
    with pytest.raises(error, match=said):
        variation.variants(base, [text], TYPED)
