"""A flag that several commands take is in the --help of each."""

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
