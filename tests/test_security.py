"""What docs/security.md promises is held by tests that are there."""

import ast
import re

from tests.imports import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "held by" not in line]


def named(row):
    return re.findall(r"`([\w/]+\.py)::(\w+)`", row)


def defined(path):
    return {
        node.name
        for node in ast.walk(ast.parse((ROOT / "tests" / path).read_bytes()))
        if isinstance(node, ast.FunctionDef)
    }


def test_every_promise_names_tests_that_exist():
    assert len(ROWS) > 30
    assert [row for row in ROWS if not named(row)] == []
    assert [(path, name) for path, name in named(TEXT) if name not in defined(path)] == []
