"""docs/backbones.md lists every table, with the count and the converters that it has."""

import doctest
import re

from adapters.backbones import registry
from adapters.backbones.builder import count_parameters
from adapters.backbones.naming.known import NAMINGS
from tests.imports import ROOT

ROW = re.compile(r"^\| `(\w[\w.]*)` \| ([\d,]+) \|.*\|(.*)\|$", re.MULTILINE)


def test_every_table_is_listed_with_its_count():
    rows = ROW.findall((ROOT / "docs" / "backbones.md").read_text())
    listed = {name: int(count.replace(",", "")) for name, count, _ in rows}
    assert listed == {
        name: count_parameters(registry.table(name), 1000) for name in registry.TABLES
    }
    for name, _, sources in rows:
        known = {naming.name for naming in NAMINGS if name.startswith(naming.tables)}
        told = set(re.sub(r"\(.*?\)", "", sources).replace(",", " ").split())
        assert told <= known, name
        assert known - told <= {"torchvision"}, name  # has no minimalistic networks


def test_the_examples_give_what_they_say():
    path = ROOT / "docs" / "backbones.md"
    results = doctest.testfile(str(path), module_relative=False)
    assert results.attempted > 5
    assert results.failed == 0
