"""`launch/benchmark_device`: the files, what each engine answers with them, and the rows."""

import importlib.util
import shutil

import numpy as np
import pytest

from adapters.backbones import registry
from adapters.benchmarking import cases, ours
from adapters.benchmarking.cases import Case
from adapters.benchmarking.device import engines, footprint, kinds, make, names, plan, run, worker
from adapters.benchmarking.measure import Settings
from adapters.training import tidy
from tests import commands, narrow

NEEDED = ("ai_edge_litert", "litert_converter", "litert_quantizer", "onnx", "onnxruntime")
SETTINGS = Settings(1, 1, "x", processor="Z80")
OF_KINDS = {"LiteRT one graph for kinds", "LiteRT a graph each"}


@pytest.fixture(scope="module", autouse=True)
def _exporters():
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("files")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
        make.write_files("narrow", narrow.SIZE, made)
    return made


def images(count):
    return np.random.default_rng(1).random((count, narrow.SIZE, narrow.SIZE, 3), np.float32)


def test_every_way_to_hold_a_task_gives_its_answers(folder):
    """And tasks differ; files of one task's own graph are all the first one's."""
    answers = {}
    for name, engine in engines.ENGINES.items():
        if name.startswith("Device") or name in OF_KINDS:
            continue
        holder = engine(folder)
        for number in (0, 3):
            holder.add(number)
        answers[name] = [holder.run(number, images(8))["logits"] for number in (0, 3, 0)]
        np.testing.assert_array_equal(answers[name][0], answers[name][2])
    first, other, _ = answers["LiteRT inputs"]
    assert np.abs(first - other).max() > 0.1
    for name, (own, another, _) in answers.items():
        far = 0.1 if name.endswith("int8") else 1e-5
        np.testing.assert_allclose(own, first, atol=far, err_msg=name)
        wanted = first if name.endswith("fused") else other
        np.testing.assert_allclose(another, wanted, atol=far, err_msg=name)


def test_detectors_are_held_in_the_same_ways(tmp_path, monkeypatch):
    head = "ssdlite(maps=1, finest=4, coarsest=4)"
    monkeypatch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
    monkeypatch.setattr(make, "TASKS", 1)
    monkeypatch.setattr(make, "BATCHES", (1,))
    make.write_files("narrow", narrow.SIZE, tmp_path, head)
    said = {}
    for name in ("LiteRT inputs", "LiteRT fused", "ONNX Runtime inputs", "ONNX Runtime fused"):
        holder = engines.ENGINES[name](tmp_path)
        holder.add(0)
        said[name] = holder.run(0, images(1))
    first = said["LiteRT inputs"]
    anchors = (narrow.SIZE // 4) ** 2 * 6
    assert {name: values.shape for name, values in first.items()} == {
        "logits": (1, anchors, 1 + cases.DEVICE_CLASSES),
        "offsets": (1, anchors, 4),
        "anchors": (1, anchors, 4),
    }
    assert np.ptp(first["offsets"]) > 0.1
    for name, own in said.items():
        for prediction, values in first.items():
            np.testing.assert_allclose(own[prediction], values, atol=1e-4, err_msg=name)
    case = Case("inference", "narrow", narrow.SIZE, 1, head=head)
    theirs = ours.prepare(case).run()
    assert {name: values.shape for name, values in theirs.items()} == {
        name: values.shape for name, values in first.items()
    }
    planned = (
        *plan.graphs("narrow", 32, (1,), "x", head),
        *plan.swaps("narrow", 32, "x", head),
        *plan.memories("narrow", 32, 10, "x", head),
    )
    assert {one.work.partition(" of ")[2] for one in planned} == {head}
    assert not [each for one in planned for each in one.contenders if each.side == "peer"]


@pytest.mark.parametrize("work", ["graph", "warm swap", "cold swap", "memory"])
@pytest.mark.parametrize("graph", ["LiteRT inputs", "Device.install folded"])
def test_every_work_is_done(folder, work, graph):
    case = Case(work, "narrow", narrow.SIZE, 1, tasks=2, graph=graph, folder=str(folder))
    prepared = worker.prepare(case)
    prepared.run()
    prepared.run()
    facts = prepared.facts()
    assert (set(facts) == {"resident memory", "memory beside imports"}) == (work == "memory")


def test_what_is_planned_has_an_engine():
    cases = [
        one.case
        for comparison in (
            *plan.graphs("narrow", 32, (1, 8), "x"),
            *plan.swaps("narrow", 32, "x"),
            *plan.memories("narrow", 32, 10, "x"),
            plan.kinds("narrow", 32, "x"),
        )
        for one in comparison.contenders
        if one.side == "ours"
    ]
    assert {case.graph for case in cases} == engines.ENGINES.keys()
    assert {one.case.graph for one in plan.kinds("narrow", 32, "x").contenders} == OF_KINDS
    assert {case.tasks for case in cases if case.work == "memory"} == {1, 3, 7, 10}


def test_a_run_writes_rows_and_can_be_resumed(folder, tmp_path, monkeypatch):
    def given(backbone, size, place, head):
        assert (backbone, size, head) == ("narrow", narrow.SIZE, "")
        shutil.copytree(folder, place, dirs_exist_ok=True)

    monkeypatch.setattr(make, "write_files", given)
    out = tmp_path / "device.csv"

    def once(works):
        run.benchmark(
            "narrow",
            narrow.SIZE,
            works,
            [SETTINGS],
            "no-such-python",
            out,
            resume=True,
            jax="tests.launch.fake_side",
        )
        return {(row.setting, row.metric): row for row in tidy.read(out)}

    rows = once(("graph", "size"))
    shape = "32 px, batch 8, 1 threads, Z80"
    ratio = rows[f"graph, peer LiteRT fused, {shape}", "ratio"]
    assert ratio.unit == "times"
    assert ratio.value > 0
    assert rows[f"ONNX graph, ONNX Runtime inputs, {shape}", "time"].unit == "ms"
    assert f"graph, JAX, {shape}" in {setting for setting, _ in rows}
    sizes = {row.setting: row.value for row in rows.values() if row.metric == "size"}
    assert len(sizes) == len(footprint.FILES)
    assert sizes["size, patch as float16, 32 px"] < sizes["size, patch as float32, 32 px"]
    assert once(("graph",)) == rows


def test_memory_is_that_of_a_process_of_its_own(folder):
    (first, *_) = plan.memories("narrow", narrow.SIZE, 2, str(folder))
    rows = footprint.memory(first, SETTINGS, run.OURS)
    found = {(row.setting, row.metric): row.value for row in rows}
    two = "memory, LiteRT inputs 2 tasks, 32 px, batch 1, 1 threads, Z80"
    one = two.replace("2 tasks", "1 task")
    assert {setting for setting, _ in found} == {one, two}
    assert footprint.keys(first, SETTINGS) == {("narrow", "", one), ("narrow", "", two)}
    assert found[two, "resident memory"] > found[two, "memory beside imports"] > 0
    assert 0.8 < found[two, "over LiteRT inputs 1 task"] < 1.25


def test_three_kinds_on_one_graph_answer_as_each_on_its_own(tmp_path, monkeypatch):
    """Five classifiers, a detector and a segmenter; the graphs apart hold the same edits."""
    monkeypatch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
    detector = "ssdlite(maps=3, finest=4, coarsest=4)"
    monkeypatch.setitem(kinds.HEADS, "detector", detector)
    monkeypatch.setitem(kinds.HEADS, "segmenter", "segmentation(low=stride_2, high=stride_4)")
    out = tmp_path / "device.csv"
    folder = tmp_path / "files"
    folder.mkdir()
    kinds.write_files("narrow", narrow.SIZE, folder)
    together, apart = (engines.ENGINES[name](folder) for name in sorted(OF_KINDS, reverse=True))
    for number, kind in enumerate(names.TASKS):
        for holder in (together, apart):
            holder.add(number)
        ours, theirs = (holder.run(number, images(1)) for holder in (together, apart))
        assert ours.keys() == theirs.keys()
        for name, values in theirs.items():
            atol = 1e-5 * np.abs(values).max()
            np.testing.assert_allclose(ours[name], values, atol=atol, err_msg=f"{kind} {name}")
    monkeypatch.setattr(
        kinds, "write_files", lambda *_: shutil.copytree(names.kinds(folder), names.kinds(_[2]))
    )
    run.benchmark(
        *("narrow", narrow.SIZE, ("three_kinds",), [SETTINGS], "no-such-python", out), resume=True
    )
    rows = {(row.setting, row.metric): row for row in tidy.read(out)}
    assert {row.backbone for row in rows.values()} == {"narrow+ssdlite"}
    shape = "32 px, batch 1, 1 threads, Z80"
    one = f"memory, LiteRT one graph for kinds 7 tasks, {shape}"
    ratio = rows[one, "over LiteRT a graph each 3 tasks"].value
    other = rows[f"memory, LiteRT a graph each 3 tasks, {shape}", "resident memory"].value
    assert ratio == pytest.approx(rows[one, "resident memory"].value / other, rel=1e-4)
    sizes = {row.setting: row.value for row in rows.values() if row.metric == "size"}
    assert len(sizes) == 10
    assert sizes["size, graphs of 3 tasks, 32 px"] == sum(
        sizes[f"size, graph of one {kind}, 32 px"] for kind in kinds.HEADS
    )


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("--works=memroy", "Did you mean 'memory'"),
        ("--threads=1,none", "--threads=1,none must be numbers"),
    ],
)
def test_the_command_refuses_what_nobody_knows_before_measuring(tmp_path, flag, complaint):
    out = tmp_path / "x.csv"
    result = commands.run("launch.benchmark_device", flag, f"--out={out}")
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert not out.exists()
