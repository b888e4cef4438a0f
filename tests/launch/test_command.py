"""How commands end: helped, interrupted, or read by nobody; and the one that pip installs."""

import os
import subprocess
import sys

import pytest

from launch import command, console
from tests.imports import ROOT

SHOW = """
from absl import logging
def main(_):
    print("gnp\\u202eexe a\\u200bb", flush=True)
    logging.warning("c\\u200bd")
command.run(main, compiles=False)
"""
PREAMBLE = "import sys\nfrom launch import command\n"


def run(code, *arguments, **how):
    return subprocess.run(
        [sys.executable, "-P", "-c", PREAMBLE + code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        timeout=60,
        **{"stderr": subprocess.PIPE, **how},
    )


@pytest.mark.parametrize("flag", ["--help", "-help", "-?"])
def test_help_is_no_error(flag):
    ended = run("command.run(print, compiles=False)", flag, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_pipe_that_nobody_reads_any_more_ends_a_command_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    ended = run("command.run(lambda _: print('x' * 100_000), compiles=False)", stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (command.CLOSED, "")


def test_control_c_leaves_no_stack_trace():
    code = "def main(_): raise KeyboardInterrupt\ncommand.run(main, compiles=False)"
    ended = run(code, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (command.INTERRUPTED, "")


def test_one_program_has_every_command(capsys, monkeypatch):
    executables = {path.name for path in (ROOT / "launch").iterdir() if os.access(path, os.X_OK)}
    assert set(console.commands()) == {
        name for name in executables if (ROOT / "launch" / name).is_file()
    } - {"test"}
    monkeypatch.setattr(sys, "argv", ["modelpatch", "trian"])
    with pytest.raises(SystemExit) as ended:
        console.main()
    assert ended.value.code == 2
    assert "train" in capsys.readouterr().err


def test_it_hands_over_arguments_and_name():
    ended = run(
        "from launch import console\nsys.argv[0] = 'modelpatch'\nconsole.main()",
        "sign",
        "--help",
        stdout=subprocess.PIPE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Signs patch files" in ended.stdout


def test_a_terminal_shows_every_character_of_a_name_and_a_pipe_gets_it_as_it_is():
    ours, theirs = os.openpty()
    assert run(SHOW, stdout=theirs, stderr=theirs).returncode == 0
    printed, logged = os.read(ours, 1000).splitlines()
    assert printed == b"gnp\\u202eexe a\\u200bb"
    assert logged.endswith(b"c\\u200bd")
    os.close(ours)
    os.close(theirs)
    assert run(SHOW, stdout=subprocess.PIPE).stdout == "gnp\u202eexe a\u200bb\n"
