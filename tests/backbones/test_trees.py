"""The names, shapes and bytes of every backbone's weights are those committed."""

import json

import pytest

from adapters.backbones.registry import TABLES
from tests.golden import make_trees


def test_every_table_has_a_tree_and_no_other_has():
    assert {path.stem for path in make_trees.FOLDER.glob("*.json")} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_tree_is_the_one_committed(name):
    committed = json.loads((make_trees.FOLDER / f"{name}.json").read_text())
    assert make_trees.tree(name) == committed, (
        "patch files and checkpoints made before would no longer fit; if that is meant, run "
        "python -m tests.golden.make_trees"
    )
