"""A whole search, small: routes under their budget, files that answer as scored, exact resume."""

import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from adapters.analysis.cost import network_cost
from adapters.backbones.builder import build, count_parameters, expected_shapes
from adapters.backbones.checkpoint import read_checkpoint
from adapters.backbones.pruning import pruned
from adapters.errors import UnknownNameError
from adapters.experiment import (
    backbones,
    chosen_tasks,
    evaluation,
    exports,
    route_record,
    searching,
)
from adapters.experiment.route_record import RouteFileError
from adapters.experiment.search_request import Request
from adapters.experiment.search_settings import SearchSettings
from adapters.experiment.settings import SettingError, settings_of
from adapters.heads.classification import classification
from adapters.heads.regression import regression
from adapters.heads.together import TaskHeads
from adapters.search import controller
from adapters.search.blocks import block_space, largest
from adapters.search.chooser import by_controller
from adapters.search.costs import multiply_adds
from adapters.search.cropped import cropped_table
from adapters.search.rewards import RewardError
from adapters.search.supernet import SearchError, supernet
from adapters.search.union import union
from adapters.store.edits import apply_edits
from adapters.training import checkpoint, loop, metrics
from adapters.training.state import Trainer
from tests import narrow
from tests.launch import small

SPACE = block_space(narrow.TABLE)
COSTS = multiply_adds(SPACE, narrow.SIZE)
WHOLE = COSTS.exact(largest(SPACE))
BUDGET, STEPS = 0.8, 24
KEY = jax.random.key(0)


def values(weights, **changes):
    own = {"backbone": "narrow", "weights": str(weights), "size": narrow.SIZE, "examples": 4}
    return {**own, "steps": STEPS, "validations": 1, **changes}


def run(names, weights, directory, **changes):
    return searching.search(
        names,
        directory=directory,
        search=SearchSettings(budget=BUDGET, rate=0.1),
        **values(weights, **changes),
    )


@pytest.fixture(scope="module")
def two_tasks(tmp_path_factory):
    """(names of tasks, the backbone's file)."""
    root = tmp_path_factory.mktemp("images")
    folders = [small.write_folder(root / name, n) for name, n in (("greys", 2), ("shades", 3))]
    weights = small.write_backbone(root / "narrow.safetensors")
    return [f"folder:{path}" for path in folders], weights


@pytest.fixture(scope="module")
def found(two_tasks, tmp_path_factory):
    """(the search, its folder, the backbone's file, names of tasks)."""
    names, weights = two_tasks
    out = tmp_path_factory.mktemp("search") / "out"
    return run(names, weights, out), out, weights, names


def test_every_route_is_one_of_the_space_and_costs_no_more_than_it_may(found):
    _, out, *_ = found
    record = json.loads((out / "routes.json").read_text())
    assert record["largest"]["multiply_adds"] == WHOLE
    assert len(record["tasks"]) == 2
    assert record["cost"]["of"] == "multiply_adds"
    for own in record["tasks"].values():
        assert own["multiply_adds"] <= 1.02 * BUDGET * WHOLE
        assert own["share of cost"] == own["multiply_adds"] / WHOLE
        assert set(own["decisions"]) <= {decision.name for decision in SPACE.space.decisions}
    shared, bundle = record["shared"]["parameters"], record["bundle"]["parameters"]
    sizes = [own["parameters"] for own in record["tasks"].values()]
    assert max(sizes) <= shared <= record["largest"]["parameters"]
    assert bundle == sum(sizes)
    with Image.open(out / "routes.png") as picture:
        assert picture.width > 200


def test_a_patch_answers_as_the_search_scored_it_and_as_the_cropped_network(found):
    """From its file, on the shared network; and without what it leaves idle there."""
    search, out, _, names = found
    tasks = json.loads((out / "routes.json").read_text())["tasks"]
    shared = str(out / "backbone.safetensors")
    for row, name in zip(search.rows, names, strict=True):
        path = str(out / f"{row.task}.patch")
        scored = evaluation.evaluate(path, task=name, weights=shared)
        assert scored.score == row.test_accuracy
        opened = evaluation.open_patch(path, "test", name, shared)
        network = opened.backbone.network
        edited = apply_edits(opened.backbone.weights, opened.contents.edits)
        table, smaller = pruned(network.table, edited)
        image = narrow.normalised(narrow.images(1, 1)[0][0])[0]
        whole = jax.jit(network.apply)(edited, image).features
        left = build(table, "same", narrow.EPSILON)
        part = jax.jit(left.apply)(smaller, image).features
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5)
        assert network_cost(left, narrow.SIZE).multiply_adds == tasks[row.task]["multiply_adds"]
        assert count_parameters(table) == tasks[row.task]["parameters"]


def test_the_network_that_ships_holds_what_the_routes_keep_and_nothing_more(found):
    """Its arrays are really smaller, and its file has the layer table that nobody else has."""
    _, out, _, names = found
    record = json.loads((out / "routes.json").read_text())
    short = [name.rpartition("/")[2] for name in names]
    routes = route_record.read(out / "routes.json", SPACE, short)
    loaded = backbones.load("narrow_routes", str(out / "backbone.safetensors"))
    kept = cropped_table(SPACE, union(SPACE, list(routes)), "narrow_routes")
    assert loaded.network.table == kept
    assert count_parameters(kept) == record["shared"]["parameters"]
    assert sum(node["parameters"] for node in record["nodes"].values()) == count_parameters(kept)
    with pytest.raises(UnknownNameError, match="narrow_rutes"):
        backbones.load("narrow_rutes", str(out / "backbone.safetensors"))


@pytest.mark.parametrize("to", ["onnx", "litert"])
def test_a_graph_of_one_task_holds_its_route_and_no_more(found, tmp_path, to):
    """Its constants are those of the route's own network, kernels with norms folded in."""
    needed = {"onnx": ("onnxruntime", "onnx"), "litert": ("litert_converter",)}[to]
    *_, package = [pytest.importorskip(n, reason="`launch/test` installs it") for n in needed]
    _, out, *_ = found
    route = route_record.read(out / "routes.json", SPACE, ["greys"])[0]
    table = cropped_table(SPACE, route, "route")
    graph = tmp_path / ("graph.onnx" if to == "onnx" else "graph.tflite")
    patch, shared = out / "greys.patch", str(out / "backbone.safetensors")
    exports.export_task(patch, graph, to=to, weights=shared, batches=1)  # compared with JAX
    constants = sum(
        math.prod(shape)
        for leaves in expected_shapes(table).values()
        for name, shape in leaves.items()
        if name in ("w", "b", "offset")
    )
    constants += (table.features + 1) * 2  # the head's
    if to == "litert":
        assert 4 * constants < graph.stat().st_size < 4 * constants + 20_000
        return
    stored = sum(math.prod(tensor.dims) for tensor in package.load(graph).graph.initializer)
    assert constants <= stored < constants + 50


def test_a_route_trains_again_alone_from_the_first_weights(found, two_tasks, tmp_path):
    """As many steps, none of them a search's: the routes are those of the file.

    Here with one set of statistics for all, which is the shared network's then: no patch has any.
    """
    _, out, *_ = found
    names, weights = two_tasks
    search = SearchSettings(routes=str(out / "routes.json"), statistics="one")
    again = searching.search(
        names, directory=tmp_path / "again", search=search, **values(weights, steps=2)
    )
    assert again.rows[0].step == 2
    shared = str(tmp_path / "again" / "backbone.safetensors")
    for row, name in zip(again.rows, names, strict=True):
        path = tmp_path / "again" / f"{row.task}.patch"
        assert row.statistics_bytes == 0
        assert evaluation.evaluate(path, task=name, weights=shared).score == row.test_accuracy
    begun, ended = (read_checkpoint(path).weights["stem/norm"] for path in (weights, shared))
    assert not np.allclose(begun["mean"], ended["mean"])
    first, second = (
        json.loads((folder / "routes.json").read_text()) for folder in (out, tmp_path / "again")
    )
    assert first == second
    assert again.told.startswith("block ")
    assert "block_02" in again.told


def test_netadapt_makes_one_network_smaller_for_all(two_tasks, tmp_path):
    names, weights = two_tasks
    search = SearchSettings(algorithm="netadapt", budget=0.85, search_share=0.96)
    directory, brief = tmp_path / "out", values(weights, steps=50, validations=0)
    searching.search(names, directory=directory, search=search, test=False, **brief)
    record = json.loads((directory / "routes.json").read_text())
    first, second = record["tasks"].values()
    assert first == second
    assert first["multiply_adds"] <= 0.85 * WHOLE
    assert record["shared"]["parameters"] == first["parameters"]


def planned(two_tasks, directory, **search):
    names, weights = two_tasks
    settings = settings_of(**values(weights, norm="batch", train_shared=True, groups=2))
    made = SearchSettings(budget=BUDGET, **search)
    return searching.planned(Request(chosen_tasks.chosen(names), settings, made, directory))


def test_controls_take_routes_that_nobody_learned(two_tasks, tmp_path):
    largest_for_all = planned(two_tasks, tmp_path, algorithm="largest").routes
    np.testing.assert_array_equal(largest_for_all, np.stack([largest(SPACE)] * 2))
    narrower = planned(two_tasks, tmp_path, algorithm="uniform").routes
    assert {tuple(route) for route in narrower} == {(0, 1, 1, 0, 0)}
    drawn = planned(two_tasks, tmp_path, algorithm="random").routes
    assert [COSTS.exact(route) / WHOLE for route in drawn] == pytest.approx([BUDGET] * 2, rel=0.05)
    by_time = planned(two_tasks, tmp_path, algorithm="random", cost="worst(cpu+dsp)")
    times = [by_time._costs.exact(route) for route in by_time.routes]
    assert times == pytest.approx([BUDGET] * 2, rel=0.05)


def test_the_first_half_is_shared_by_hand_and_the_second_each_task_s_own(two_tasks, tmp_path):
    half = planned(two_tasks, tmp_path, algorithm="first_half")
    own = {
        name.split("/", 1)[1]
        for name in half._patch.cost(half._patch.init(KEY, half.backbone.weights))
    }
    assert {"block_02/depthwise/w", "tail/w", "block_03/expand/norm/mean", "stem/norm/mean"} <= own
    assert {"stem/norm/scale", "block_01/depthwise/norm/offset"} <= own
    assert not {"stem/w", "block_01/depthwise/w"} & own
    shared = sum(np.size(half.backbone.weights[p]["w"]) for p in ("stem", "block_01/depthwise"))
    assert (
        f"{shared + np.size(half.backbone.weights['block_01/project']['w']) + 48:,} parameters"
        in half.told
    )


def test_a_file_of_other_routes_is_refused(found, tmp_path):
    _, out, *_ = found
    record = json.loads((out / "routes.json").read_text())
    path = tmp_path / "routes.json"
    with pytest.raises(RouteFileError, match="cannot be opened"):
        route_record.read(path, SPACE, ["greys"])
    for changes, said in (
        ({"table": "mobilenet_v2"}, "and the network is narrow"),
        ({"tasks": {}}, "no route of greys"),
        ({"tasks": {"greys": {"decisions": {"block_09 skip": "skip"}}}}, "no decision of narrow"),
        ({"tasks": {"greys": {"decisions": {}}}}, "leaves out decisions"),
        ({"tasks": 3}, "no file of routes"),
    ):
        path.write_text(json.dumps({**record, **changes}))
        with pytest.raises(RouteFileError, match=said):
            route_record.read(path, SPACE, ["greys"])


def test_quality_cost_and_reward_of_every_route_are_logged(found):
    _, out, *_ = found
    logged = [
        each for each in metrics.read(out / "metrics.jsonl") if "train/loss/greys" in each.values
    ]
    for record in logged:
        for task in json.loads((out / "routes.json").read_text())["tasks"]:
            quality, cost, reward = (
                record.values[f"train/{name}/{task}"] for name in ("quality", "cost", "reward")
            )
            assert reward == pytest.approx(quality - 0.3 * abs(cost - 1), abs=1e-5)
    first, last = logged[0], logged[-1]
    costs = [value for tag, value in last.values.items() if tag.startswith("train/cost")]
    assert max(costs) <= 1.02  # the routes that were found
    begun = [value for tag, value in first.values.items() if tag.startswith("train/cost")]
    np.testing.assert_allclose(begun, 1 / BUDGET, rtol=1e-5)  # the largest


def test_a_killed_search_resumes_to_the_same_files(found, tmp_path):
    _, out, weights, names = found
    again = tmp_path / "again"
    shutil.copytree(out, again)
    folder = again / loop.CHECKPOINTS
    newest = checkpoint.latest(folder)
    shutil.rmtree(folder / f"step_{newest:08d}")
    assert 0 < checkpoint.latest(folder) < STEPS
    for path in [*again.glob("*.patch"), again / "routes.json", again / "results.csv"]:
        path.unlink()
    run(names, weights, again, resume=True)
    for path in [*out.glob("*.patch"), out / "routes.json", out / "backbone.safetensors"]:
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_last_route_is_the_most_probable_one_that_may_be_had():
    """Controllers that want the largest network, of twice what it may cost."""
    target = 0.7 * WHOLE
    wanted = np.asarray(largest(SPACE))
    state = controller.init(SPACE.space, 2)
    logits = np.array(state.logits)
    logits[:, np.arange(len(wanted)), wanted] += 1.0
    key = jax.random.key(0)

    def chosen(state, target):
        settle = by_controller(SPACE.space, COSTS, target).settle
        return jax.jit(lambda state: settle(state, key))(state)

    routes = chosen(state._replace(logits=jnp.asarray(logits)), target)
    assert (np.asarray(COSTS.of(routes)) <= 1.02 * target).all()
    cheap = chosen(state, 1.0)  # none may be had
    every = COSTS.of(controller.sample(state, jax.random.key(5)))
    assert (np.asarray(COSTS.of(cheap)) <= np.asarray(every)).all()


def test_the_union_holds_every_route_and_nothing_more():
    skipped, small, large = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 0, 0, 1]], np.int32)
    assert union(SPACE, [skipped, small]).tolist() == [0, 1, 1, 1, 0]
    assert union(SPACE, [skipped, small, large]).tolist() == [0, 1, 1, 0, 1]
    whole = count_parameters(cropped_table(SPACE, union(SPACE, [small, large]), "union"))
    assert whole >= max(count_parameters(cropped_table(SPACE, r, "r")) for r in (small, large))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train_shared": False}, "train_shared is off"),
        ({"groups": 4}, "one group of every task"),
        ({"sampling": "proportional"}, "drawn uniformly"),
        ({"teacher": "out"}, "of no use to a search"),
        ({"checkpoint": "best"}, "must be last"),
        ({"algorithm": "netadapt"}, "16 rounds of 3 proposals need 48"),
        ({"patch": "conv_adapter"}, "adds leaves"),
        ({"statistics": "one", "norm": "frozen"}, "measures no statistics"),
    ],
)
def test_settings_that_fit_no_search_are_refused(two_tasks, tmp_path, changes, said):
    names, weights = two_tasks
    own = {name: changes.pop(name) for name in ("algorithm", "statistics") if name in changes}
    search = SearchSettings(**own)
    with pytest.raises(SettingError, match=said):
        searching.search(
            names, directory=tmp_path / "out", search=search, **values(weights, **changes)
        )
    assert not (tmp_path / "out").exists()


def test_tasks_of_other_sizes_are_refused(two_tasks, tmp_path):
    (first, second), weights = two_tasks
    with pytest.raises(SettingError, match="tasks have sizes of their own"):
        run([f"{first}(size=16)", second], weights, tmp_path / "out")


@pytest.mark.parametrize(
    ("own", "error"),
    [
        ({"budget": 0.0}, SettingError),
        ({"search_share": 1.5}, SettingError),
        ({"reward": "absolute(weight=-1)"}, RewardError),
        ({"warm_up": 1.0}, SettingError),
        ({"algorithm": "annealing"}, UnknownNameError),
        ({"controllers": "two"}, UnknownNameError),
        ({"cost": "tpu"}, UnknownNameError),
        ({"latencies": "times.csv"}, SettingError),
        ({"statistics": "two"}, UnknownNameError),
        ({"statistics": "one", "algorithm": "first_half"}, SettingError),
        ({"sharing": -1.0}, SettingError),
        ({"sharing": 0.1, "algorithm": "largest"}, SettingError),
        ({"sharing": 0.1, "space": "placement", "budget": 900.0}, SettingError),
        ({"cost": "cpu", "space": "placement", "budget": 900.0}, SettingError),
        ({"algorithm": "random", "routes": "routes.json"}, SettingError),
    ],
)
def test_search_settings_out_of_their_range_are_refused(own, error):
    with pytest.raises(error):
        SearchSettings(**own)


def test_tasks_without_one_label_an_image_are_refused():
    heads = TaskHeads((classification(), regression()), (2, 1))
    with pytest.raises(SearchError, match="kinds classification, regression"):
        supernet(Trainer(None, None, heads, None), None, None, None, None, None)
