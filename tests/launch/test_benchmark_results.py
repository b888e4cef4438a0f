"""From timings to rows, a file and a picture."""

import dataclasses
import itertools
import os
import pathlib
import platform

import pytest

from adapters.backbones import registry
from adapters.benchmarking import measure, picture, plan, run
from adapters.benchmarking.interleave import WorkerError
from adapters.benchmarking.measure import DifferentWorkError, Settings, Sides
from adapters.benchmarking.processor import processor
from adapters.search.blocks import block_space, largest
from adapters.search.cost_names import Asked, costing
from adapters.training import tidy
from tests import commands, narrow

SETTINGS = Settings(2, 3, "launch/benchmark", processor="Z80")
WORKS = [work for work in plan.WORKS if work not in ("blocks", "routes", "widths", "synthesis")]
COMPARISONS = list(plan.comparisons(["narrow"], [32], [8], ["bias"], WORKS))
STEP = COMPARISONS[1]


class Stub:
    """A worker whose times are given: {compiled: seconds of each run}."""

    name = "Peer 2.0"

    def __init__(self, times, trained=7.0, broken=()):
        self.times, self.trained, self.broken = times, trained, broken
        self.held = set()

    def prepare(self, case):
        if case.compiled in self.broken:
            raise WorkerError("no compiler")
        self.held.add(case)
        return {"first run": 1.23456789, "values trained": self.trained}

    def time(self, case):
        assert case in self.held
        return self.times[case.compiled].pop(0)

    def forget(self, case):
        self.held.remove(case)


def ours():
    return Stub({False: [0.010, 0.011, 0.012]})


def peer(**changes):
    return Stub({False: [0.020, 0.033, 0.012], True: [0.010, 0.011, 0.060]}, **changes)


def sides(mine, theirs):
    return Sides(mine, theirs, fresh=lambda cache: mine)


def table(rows):
    return {(row.setting, row.metric): (row.value, row.unit) for row in rows}


def test_rows_hold_medians_ratios_and_facts():
    both = ours(), peer()
    rows = measure.measure(STEP, sides(*both), SETTINGS)
    shape = "32 px, batch 8, 2 threads, Z80"
    assert table(rows) == {
        (f"training step, ours, {shape}", "time"): (11.0, "ms"),
        (f"training step, ours, {shape}", "values trained"): (7, "values"),
        (f"training step, Peer 2.0 eager, {shape}", "time"): (20.0, "ms"),
        (f"training step, Peer 2.0 eager, {shape}", "first run"): (1.2346, "s"),
        (f"training step, Peer 2.0 eager, {shape}", "values trained"): (7, "values"),
        (f"training step, Peer 2.0 compiled, {shape}", "time"): (11.0, "ms"),
        (f"training step, Peer 2.0 compiled, {shape}", "first run"): (1.2346, "s"),
        (f"training step, Peer 2.0 compiled, {shape}", "values trained"): (7, "values"),
        # Rounds: 2, 3 and 1 times; 1, 1 and 5 times.
        (f"training step, peer Peer 2.0 eager, {shape}", "ratio"): (2.0, "times"),
        (f"training step, peer Peer 2.0 compiled, {shape}", "ratio"): (1.0, "times"),
    }
    assert {(row.backbone, row.patch) for row in rows} == {("narrow", "bias")}
    assert not both[0].held
    assert not both[1].held
    found = {(row.backbone, row.patch, row.setting) for row in rows}
    assert measure.keys(STEP, sides(ours(), peer()), SETTINGS) <= found


def test_what_one_does_beyond_the_other_is_the_median_of_differences():
    one, other = (dataclasses.replace(STEP.case, compiled=compiled) for compiled in (True, False))
    pair = (plan.Contender("A then B", "ours", one), plan.Contender("A", "ours", other))
    work = Stub({True: [0.020, 0.033, 0.019], False: [0.010, 0.011, 0.012]})
    rows = measure.measure(plan.Comparison("work", pair, beyond="B"), sides(work, None), SETTINGS)
    found = table(rows)
    beyond = "work, B, 32 px, batch 8, 2 threads, Z80"
    assert found[beyond, "time"] == (10.0, "ms")  # of 10, 22 and 7


def test_a_peer_that_trains_other_values_is_refused():
    with pytest.raises(DifferentWorkError, match="'bias' trains 7 values here and 8 in eager"):
        measure.measure(STEP, sides(ours(), peer(trained=8.0)), SETTINGS)


def test_a_peer_that_cannot_compile_is_left_out():
    rows = measure.measure(STEP, sides(ours(), peer(broken=(True,))), SETTINGS)
    assert [row.setting.split(",")[1] for row in rows if row.metric == "ratio"] == [
        " peer Peer 2.0 eager"
    ]


def test_without_a_peer_our_side_is_measured_alone():
    rows = measure.measure(STEP, sides(ours(), None), SETTINGS)
    assert {row.metric for row in rows} == {"time", "values trained"}


def test_input_is_a_rate():
    (images,) = (one for one in COMPARISONS if one.case.work == "input")
    rows = measure.measure(images, sides(ours(), None), SETTINGS)
    assert (rows[0].metric, rows[0].unit) == ("throughput", "images/s")
    assert rows[0].value == pytest.approx(8 * plan.INPUT_BATCHES / 0.011, rel=1e-4)


def test_the_plan_has_every_patch_at_every_size_and_no_row_twice():
    planned = list(plan.comparisons(["narrow", "wide"], [32, 64], [4, 8], ["bias", "full"], WORKS))
    steps = [c.case for c in planned if c.work == "training step"]
    shapes = [(case.backbone, case.size, case.examples, case.patch) for case in steps]
    assert shapes == list(itertools.product(["narrow", "wide"], [32, 64], [4, 8], ["bias", "full"]))
    keys = [measure.keys(c, sides(ours(), peer()), SETTINGS) for c in planned]
    assert len(set().union(*keys)) == sum(len(each) for each in keys)


def test_a_gpu_is_given_steps_ahead_in_every_precision_that_a_work_has():
    works = ["inference", "training", "swap"]
    planned = list(
        plan.comparisons(["narrow"], [32], [8], ["bias"], works, ["float32", "bfloat16"], "gpu")
    )
    settings = dataclasses.replace(SETTINGS, platform="gpu", processor="a GPU")
    found = {key[2] for one in planned for key in measure.keys(one, sides(ours(), None), settings)}
    assert found == {
        f"{work}, ours, 32 px, batch {examples}, {precision}, 2 threads, a GPU"
        for work, examples, precision in [
            ("inference", 8, "float32"),
            ("training step", 8, "float32"),
            ("training step", 8, "bfloat16"),
            ("patch swap", 1, "float32"),
        ]
    }
    steps = next(one for one in planned if one.work == "training step")
    rows = measure.measure(steps, sides(ours(), None), settings)
    assert rows[0].value == 11.0 / steps.case.steps == 1.1


def test_times_of_rows_are_what_a_search_reads(tmp_path, monkeypatch):
    """Every one takes 11 ms a batch: so a route of N rows takes N times that, over 8 images."""
    monkeypatch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
    comparisons = list(plan.comparisons(["narrow"], [32], [8], [], ["routes"]))
    path = tmp_path / "times.csv"
    for comparison in comparisons:
        run.keep(measure.measure(comparison, sides(ours(), None), SETTINGS), path)
    space = block_space(narrow.TABLE)
    costs = costing("measured(batch=8)")(Asked(space, 32, path))
    assert costs.exact(largest(space)) == pytest.approx(len(narrow.TABLE.rows) * 0.011 / 8)
    skips = largest(space)
    skips[0] = 1
    assert costs.exact(skips) == pytest.approx((len(narrow.TABLE.rows) - 1) * 0.011 / 8)


def test_blocks_are_compared_one_by_one_with_the_eager_peer():
    planned = list(plan.comparisons(["mobilenet_v4_conv_small"], [224], [8], [], ["blocks"]))
    assert [one.case.block for one in planned] == [f"block_{i:02d}" for i in range(1, 17)]
    assert planned[4].work == "inference of block_05"
    assert [side.label for side in planned[4].contenders] == ["ours", "eager"]


def run_with_fakes(folder: pathlib.Path, resume: bool) -> bytes:
    cores = len(os.sched_getaffinity(0))
    settings = Settings(threads=cores, repetitions=2, command="x")
    starts = [one for one in COMPARISONS if one.work in ("inference", "start")]
    out = folder / "performance.csv"
    fake = "tests.launch.fake_side"
    run.run(starts, settings, "no-such-python", out, folder / "p.png", resume=resume, ours=fake)
    return out.read_bytes()


def test_a_run_without_peers_writes_file_and_picture_and_can_be_resumed(tmp_path):
    first = run_with_fakes(tmp_path, resume=False)
    rows = tidy.read(tmp_path / "performance.csv")
    works = [row.setting.split(", ")[:2] for row in rows if row.metric == "programs compiled"]
    assert works == [["start", "empty cache"], ["start", "kept cache"]]
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert run_with_fakes(tmp_path, resume=True) == first
    again = run_with_fakes(tmp_path, resume=False)
    assert again != first
    assert again.count(b"\n") == first.count(b"\n")


def test_more_threads_than_cores_are_refused():
    with pytest.raises(run.ThreadsError, match="4096 threads are wanted"):
        run.limit_cores(4096)


def test_the_picture_reads_ratios_and_memory_from_the_rows(tmp_path):
    rows = measure.measure(STEP, sides(ours(), peer()), SETTINGS)
    memory = {"metric": "temp memory", "value": 3_000_000, "unit": "bytes"}
    rows.append(tidy.Measurement(**{**vars(rows[0]), **memory}))
    assert picture.ratios(rows) == {
        (32, 8): {"Peer 2.0 eager": {"bias": 2.0}, "Peer 2.0 compiled": {"bias": 1.0}}
    }
    assert picture.memory(rows) == {"32 px": {"bias": 3.0}}
    (native,) = (one for one in COMPARISONS if one.work == "training step with native gradients")
    other = measure.measure(native, sides(Stub({False: [0.005] * 6}), peer()), SETTINGS)
    assert picture.ratios([*rows, *other])[32, 8]["Peer 2.0 eager"] == {
        "bias": 2.0,
        "bias with native gradients": 4.0,
    }
    for name in ("a.png", "b.png"):
        picture.draw(rows, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--patches=scale_bais", "Did you mean 'scale_bias'"),
        ("--works=trainnig", "Did you mean 'training'"),
        ("--backbones=mobilenet_v2", "Did you mean"),
        ("--batches=8,none", "--batches=8,none must be numbers"),
    ],
)
def test_the_command_refuses_what_nobody_knows_before_measuring(tmp_path, flag, complaint):
    result = commands.run("launch.benchmark", flag, f"--out={tmp_path / 'x.csv'}")
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert not (tmp_path / "x.csv").exists()


def test_a_processor_is_named_by_family_and_model_where_clouds_hide_its_name(tmp_path):
    told = tmp_path / "cpuinfo"
    one = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    told.write_text(f"{one}\n{one.replace('17', '18')}")
    assert processor(told) == "AMD EPYC (family 25, model 17)"
    told.write_text("Processor\t: ARMv8\n")
    assert processor(told) == platform.machine()
    assert processor(tmp_path / "none") in (platform.processor(), platform.machine())
