"""A flag that several commands take is in the --help of each."""

import ast
import json
import subprocess
import sys

from tests.imports import ROOT

COMMANDS = {
    "answer": {"accept_unsigned", "graph", "json", "store", "trusted", "unsigned_graph"},
    "install": {
        *("accept_unsigned", "backbone", "graph", "remove", "roll_back", "store", "trusted"),
        *("unsigned_graph", "weights"),
    },
    "verify": {"trusted"},
}
CODE = """
import ast
import json
from absl import flags
from launch import answer, install, verify
names = ("answer", "install", "verify")
found = {name: flags.FLAGS.get_key_flags_for_module(f"launch.{name}") for name in names}
print(json.dumps({name: [flag.name for flag in own] for name, own in found.items()}))
"""


def test_each_command_lists_the_flags_that_it_asks_for():
    ended = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert {name: set(found) for name, found in json.loads(ended.stdout).items()} == COMMANDS


def test_no_command_defines_a_flag_that_a_module_it_imports_has():
    """As absl would say when the command starts; flags in functions are of whoever calls these."""
    for path in (ROOT / "launch").glob("*.py"):
        found = [name for module in _with_imports(path.stem) for name in _flags(module)]
        assert len(found) == len(set(found)), (path.name, sorted(found))


def _with_imports(module, known=()):
    """The modules of `launch` that one imports, and those that these do; itself too."""
    found = [*known, module]
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module == "launch":
            for alias in node.names:
                if alias.name not in found:
                    found = _with_imports(alias.name, found)
    return found


def _flags(module):
    calls = [
        node
        for statement in _tree(module).body
        if not isinstance(statement, ast.FunctionDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
    ]
    return [
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("DEFINE_")
        if isinstance(call.args[0], ast.Constant)
    ]


def _tree(module):
    return ast.parse((ROOT / "launch" / f"{module}.py").read_text())
