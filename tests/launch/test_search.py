"""A whole search, small: routes under their budget, files that answer as scored, exact resume."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from adapters.backbones.builder import build, count_parameters
from adapters.experiment import evaluation, searching
from adapters.experiment.searching import SearchSettings
from adapters.experiment.settings import SettingError
from adapters.heads.classification import classification
from adapters.heads.regression import regression
from adapters.heads.together import TaskHeads
from adapters.search import controller
from adapters.search.blocks import block_space, largest
from adapters.search.costs import multiply_adds
from adapters.search.cropped import cropped, cropped_table
from adapters.search.rewards import RewardError
from adapters.search.supernet import SearchError, Searching, settled, supernet
from adapters.search.union import union
from adapters.store.edits import apply_edits
from adapters.training import checkpoint, loop, metrics
from adapters.training.step import Trainer
from tests import narrow
from tests.launch import small

SPACE = block_space(narrow.TABLE)
COSTS = multiply_adds(SPACE, narrow.SIZE)
WHOLE = COSTS.exact(largest(SPACE))
BUDGET, STEPS = 0.8, 24


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
    for own in record["tasks"].values():
        assert own["multiply_adds"] <= 1.02 * BUDGET * WHOLE
        assert set(own["decisions"]) <= {decision.name for decision in SPACE.space.decisions}
    shared, bundle = record["shared"]["parameters"], record["bundle"]["parameters"]
    sizes = [own["parameters"] for own in record["tasks"].values()]
    assert max(sizes) <= shared <= record["largest"]["parameters"]
    assert bundle == sum(sizes)
    with Image.open(out / "routes.png") as picture:
        assert picture.width > 200


def test_a_patch_answers_as_the_search_scored_it_and_as_the_cropped_network(found):
    """From its file, on the shared network; and with arrays that are really smaller."""
    search, out, _, names = found
    tasks = json.loads((out / "routes.json").read_text())["tasks"]
    shared = str(out / "backbone.safetensors")
    for row, name in zip(search.rows, names, strict=True):
        path = str(out / f"{row.task}.patch")
        scored = evaluation.evaluate(path, task=name, weights=shared)
        assert scored.score == row.test_accuracy
        opened = evaluation.open_patch(path, "test", name, shared)
        decisions = tasks[row.task]["decisions"]
        route = [
            decision.options.index(decisions.get(decision.name, decision.options[0]))
            for decision in SPACE.space.decisions
        ]
        edited = apply_edits(opened.backbone.weights, opened.contents.edits)
        table, smaller = cropped(SPACE, np.array(route), edited, "route")
        image = narrow.normalised(narrow.images(1, 1)[0][0])[0]
        whole = jax.jit(narrow.BACKBONE.apply)(edited, image).features
        part = jax.jit(build(table, "same", narrow.EPSILON).apply)(smaller, image).features
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5)


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
        search = Searching(SPACE, COSTS, target, lambda quality, ratio: quality, 10, 0.5, 0.1)
        return jax.jit(lambda state: settled(state, search, key))(state)

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
    ],
)
def test_settings_that_fit_no_search_are_refused(two_tasks, tmp_path, changes, said):
    names, weights = two_tasks
    with pytest.raises(SettingError, match=said):
        run(names, weights, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_tasks_of_other_sizes_are_refused(two_tasks, tmp_path):
    (first, second), weights = two_tasks
    with pytest.raises(SettingError, match="tasks have sizes of their own"):
        run([f"{first}(size=16)", second], weights, tmp_path / "out")


@pytest.mark.parametrize(
    ("own", "error"),
    [
        ({"budget": 0.0}, SettingError),
        ({"share": 1.5}, SettingError),
        ({"reward": "absolute(weight=-1)"}, RewardError),
    ],
)
def test_search_settings_out_of_their_range_are_refused(own, error):
    with pytest.raises(error):
        SearchSettings(**own)


def test_tasks_without_one_label_an_image_are_refused():
    heads = TaskHeads((classification(), regression()), (2, 1))
    with pytest.raises(SearchError, match="kinds classification, regression"):
        supernet(Trainer(None, None, heads, None), None, None, None, None, None)
