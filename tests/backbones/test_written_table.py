"""A layer table in a file of weights: every family's comes back, and nothing else is taken."""

import dataclasses
import json

import pytest

from adapters.backbones import registry, written_table
from adapters.backbones.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from adapters.backbones.written_table import WrittenTableError
from tests import narrow
from tests.launch import small


@pytest.mark.parametrize("name", sorted(registry.TABLES)[::7])
def test_a_table_comes_back(name):
    table = registry.TABLES[name]()
    text = json.dumps(written_table.written(table))
    assert written_table.read(json.loads(text)) == dataclasses.replace(table, stages=())


def first(**changes):
    value = written_table.written(narrow.TABLE)
    value["rows"][0] |= changes
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "has a name and rows"),
        ({"name": "", "rows": []}, "name is a text"),
        ({"name": "a", "rows": [{}]}, "from 2 to 1000"),
        (first(type="Row"), "row 0 is none of"),
        (first(outputs=9), "row 1 takes 8 channels, and 9"),
        (first(outputs=-8), "has outputs=-8"),
        (first(outputs=True), "has outputs=True"),
        (first(outputs=2**30), "has outputs"),
        (first(activation=1), "has activation=1"),
        (first(colour=1), "has the columns"),
    ],
)
def test_what_is_no_table_is_refused(value, said):
    with pytest.raises(WrittenTableError, match=said):
        written_table.read(value)


def test_weights_that_are_not_the_table_s_are_refused(tmp_path):
    whole = read_checkpoint(small.write_backbone(tmp_path / "narrow.safetensors"))
    own = dataclasses.replace(whole, table="own", own_table=narrow.TABLE)
    path = tmp_path / "own.safetensors"
    write_checkpoint(path, own)
    assert read_checkpoint(path).own_table == narrow.TABLE
    rows = list(narrow.TABLE.rows)
    rows[3] = dataclasses.replace(rows[3], expanded=16)
    other = dataclasses.replace(narrow.TABLE, rows=tuple(rows))
    write_checkpoint(path, dataclasses.replace(own, own_table=other))
    with pytest.raises(CheckpointError, match="block_03/expand"):
        read_checkpoint(path)
