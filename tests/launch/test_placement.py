"""A search of where patches stand, small: files of the bytes that they may take, scored as read."""

import json

import pytest

from adapters.experiment import evaluation, searching
from adapters.experiment.search_settings import SearchSettings
from adapters.experiment.settings import SettingError
from adapters.training import tidy
from tests import narrow
from tests.launch import small

BUDGET = 900.0


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """(names of tasks, the backbone's file)."""
    root = tmp_path_factory.mktemp("images")
    folders = [small.write_folder(root / name, n) for name, n in (("greys", 2), ("shades", 3))]
    names = [f"folder:{folder}" for folder in folders]
    return names, small.write_backbone(root / "narrow.safetensors")


def run(tasks, directory, steps=8, **search):
    names, weights = tasks
    return searching.search(
        names,
        directory=directory,
        search=SearchSettings(space="placement", **{"budget": BUDGET, "rate": 0.1, **search}),
        backbone="narrow",
        weights=str(weights),
        size=narrow.SIZE,
        examples=4,
        steps=steps,
        validations=0,
    )


def test_a_search_spends_no_more_than_its_budget_and_its_file_says_so(tasks, tmp_path):
    found = run(tasks, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "placement.json").read_text())
    for row in found.rows:
        own = record["tasks"][row.task]
        assert 0.8 * BUDGET < row.edit_bytes == own["bytes"] <= BUDGET
        assert set(own["layers"]) == set(found.space.places)
        assert f"{row.task}: {own['bytes']:,} of 900 bytes, at " in found.told
    rows = tidy.read(tmp_path / "out" / "results.csv")
    assert {row.patch for row in rows} == {"search(space=placement, budget=900, rate=0.1)"}
    names, weights = tasks
    file = tmp_path / "out" / "greys.patch"
    scored = evaluation.evaluate(file, task=names[0], weights=str(weights))
    assert scored.score == found.rows[0].test_accuracy


@pytest.mark.parametrize(
    "own",
    [
        {"budget": 0.5},
        {"algorithm": "evolution"},
        {"routes": "routes.json"},
    ],
)
def test_settings_of_no_placement_are_refused(own):
    with pytest.raises(SettingError, match="of a placement"):
        SearchSettings(**{"space": "placement", "budget": BUDGET, **own})


def test_shared_weights_are_not_trained(tasks, tmp_path):
    settings = {"backbone": "narrow", "weights": str(tasks[1]), "train_shared": True}
    with pytest.raises(SettingError, match="train_shared is on"):
        searching.search(
            tasks[0],
            directory=tmp_path / "out",
            search=SearchSettings(space="placement", budget=BUDGET),
            **settings,
        )
