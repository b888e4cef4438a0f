"""The figures that docs/analysis.md states."""

import pathlib
import re

import pytest

from adapters.analysis.cost import network_cost
from adapters.analysis.roofline import machine
from adapters.backbones import registry
from adapters.backbones.builder import build

TEXT = (pathlib.Path(__file__).parents[2] / "docs/analysis.md").read_text()
ROWS = re.findall(r"^\| `(\w[\w.]+)` \| (\d+) \| (.*) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("name", "size", "figures"), ROWS)
def test_the_table_says_what_is_counted(name, size, figures):
    cost = network_cost(build(registry.table(name)), int(size), 1000, bytes_per_value=1)
    assert figures.split(" | ") == [
        f"{cost.parameters / 1e6:.2f}",
        f"{cost.multiply_adds / 1e6:,.1f}",
        f"{cost.peak.live_bytes / 1e3:,.0f}",
        cost.peak.path,
        *(f"{1e3 * cost.seconds(machine(name)):.2f}" for name in ("cpu", "edge_tpu")),
    ]


def test_the_example_gives_what_it_says():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    scope: dict = {}
    exec(code, scope)
    said = re.findall(r"^cost\.(\S+)  # (\S+)$", code, re.MULTILINE)
    assert said == [
        ("multiply_adds", f"{scope['cost'].multiply_adds:,}"),
        ("peak.path", scope["cost"].peak.path),
    ]
