"""What is installed where: locks, the wheel's content, the README's commands, the import name."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import adapters
from tests import imports

ROOT = imports.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(
    r"^([\w.-]+)==(\S+)( ; .*)? \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    found = {name: version for name, version, _, _ in PIN.findall(text)}
    lines = [line for line in text.splitlines() if not line.startswith((" ", "#"))]
    assert len(found) == len(lines)  # no second version for some Python, no line without a hash
    return found


def test_the_locks_pin_what_pyproject_asks_for():
    assert imports.declared("train") <= pins("train").keys()
    assert imports.declared("train", "device", "test") <= pins("test").keys()
    backends = {entry.partition(">=")[0] for entry in PROJECT["build-system"]["requires"]}
    assert backends == pins("build").keys()
    for group in ("converter", "fuzz"):
        assert imports.grouped(group) == pins(group).keys()
    assert imports.grouped("load") <= pins("load").keys()


def test_the_test_lock_serves_the_commands_too():
    assert pins("train").items() <= pins("test").items()


def test_neither_tensorflow_nor_pytorch_is_installed():
    unwanted = {"tensorflow", "tensorflow-cpu", "tf-nightly", "keras", "torch", "torchvision"}
    assert unwanted.isdisjoint(pins("test"))


def test_the_locks_name_no_index():
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert "://" not in lock.read_text()
        assert "index" not in lock.read_text()


def test_versions_agree():
    version = PROJECT["project"]["version"]
    assert adapters.__version__ == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert newest[1] == version


def test_packages_hold_python_and_what_is_named_since_nothing_else_would_be_installed():
    named = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("adapters", "tasks"):
        files = [file for file in (ROOT / package).rglob("*") if file.is_file()]
        others = {
            file for file in files if file.suffix not in (".py", ".pyc") and file.name != "BUILD"
        }
        patterns = named.get(package, ())
        assert others == {file for each in patterns for file in (ROOT / package).glob(each)}
        assert all(any((ROOT / package).glob(each)) for each in patterns)


def readme_commands() -> list[str]:
    """The commands of the README's first block."""
    block = re.search(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert block is not None
    return [line.partition("#")[0].strip() for line in block[1].splitlines()]


def test_ci_runs_the_readme_s_second_command():
    train, test = readme_commands()
    assert train.split()[0] == "launch/train"
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == test


def test_the_executables_are_one_script():
    scripts = [path for path in (ROOT / "launch").iterdir() if path.is_file() and not path.suffix]
    scripts = [path for path in scripts if path.name != "BUILD"]
    assert all(os.access(script, os.X_OK) for script in [*scripts, ROOT / ".ci" / "run"])
    assert len({script.read_bytes() for script in scripts}) == 1
    mains = {module.path for module in imports.read_modules().values() if module.has_main}
    commands = {path.stem for path in mains if path.parent.as_posix() == "launch"}
    # What the script itself runs, to make `.venv`, is no command.
    assert {script.name for script in scripts} == commands - {"environment"}


@pytest.mark.parametrize("package", ["tasks", "launch"])
def test_another_distribution_s_adapters_is_noticed(tmp_path: pathlib.Path, package: str):
    stranger = tmp_path / "adapters" / "__init__.py"
    stranger.parent.mkdir()
    stranger.write_text("__version__ = '1.0'\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    result = subprocess.run(
        [sys.executable, "-P", "-c", f"import {package}"],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    message = result.stderr.splitlines()[-1]
    assert message.startswith("ImportError: the package `adapters` found at ")
    assert str(stranger.parent) in message
