"""The docs' table of patch families, beside the registry."""

import pathlib
import re

from adapters.patches.registry import PATCHES

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "patches.md"


def test_every_patch_has_a_row():
    rows = re.findall(r"^\| `(\w+)(?:\(\.\.\.\))?` \|", DOCS.read_text(), re.MULTILINE)
    settings = {"weight", "budget_bits", "per", "price", "score_rate"}
    assert set(rows) - settings == PATCHES.keys()
