"""The executables in `launch/`: the first call makes `.venv`, later ones only use it.

Everything is real but what is installed: a checkout of its own, with locks that pin wheels of one
module each, made here; so the network is not needed. What installs is pip, a stand-in for uv, and
uv itself where it is on PATH.
"""

import fcntl
import io
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

from launch import environment
from tests import stand_in_uv, tiny_wheel
from tests.imports import ROOT

PYTHON = getattr(sys, "_base_executable", sys.executable)
COMMAND = """\
import json, os, signal, sys
import inspect  # the standard library's, though launch/inspect.py lies beside this file
import demo
if "--wait" in sys.argv:
    print("ready", flush=True)
    signal.pause()
told = {"pid": os.getpid(), "cwd": os.getcwd(), "arguments": sys.argv[1:], "demo": demo.VERSION}
print(json.dumps(told | {"executable": sys.executable, "inspect": inspect.__file__}))
sys.exit(7)
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "tiny_wheel"
backend-path = ["."]
[project]
name = "modelpatch"
version = "0"
[tool.uv]
constraint-dependencies = ["demo<9"]
"""
# What each says of a hash that is not the lock's, and of a package that cannot be had.
WORDS = {
    "pip": ("DO NOT MATCH THE HASHES", "No matching distribution found for convert"),
    "uv": ("Hash mismatch", "there is no version of convert==1.0"),
}


class Checkout:
    """A checkout whose `launch/train` and `launch/inspect` say how they were called.

    Attributes:
      path: the only folder on PATH.
      calls: file with the arguments of each call of the stand-in.
    """

    def __init__(self, root: pathlib.Path, tool: str = "pip"):
        self.root = root
        self.path = root / "path"
        self.calls = root / "calls"
        self.wheels = root / "wheels"
        self.stamp = root / ".venv" / "modelpatch.json"
        for folder in ("launch", "requirements", "wheels", "path"):
            (root / folder).mkdir(parents=True)
        for name in ("train", "inspect", "environment.py"):
            shutil.copy(ROOT / "launch" / name, root / "launch" / name)
        for name in ("__init__", "train", "inspect"):
            text = "" if name == "__init__" else COMMAND
            (root / "launch" / f"{name}.py").write_text(text)
        shutil.copy(tiny_wheel.__file__, root)
        (root / "pyproject.toml").write_text(PYPROJECT)
        (self.path / "python3").symlink_to(PYTHON)
        (self.path / "readlink").symlink_to(shutil.which("readlink") or "")
        self.use(tool)
        self.lock("build", "tool", "1.0")
        self.lock("train", "demo", "1.0")

    def use(self, tool: str) -> None:
        """From now on, what the launcher installs with is `tool`, one of `TOOLS`."""
        self.installer = "pip" if tool == "pip" else "uv"
        uv = self.path / "uv"
        uv.unlink(missing_ok=True)
        if tool == "stand-in":
            uv.write_text(f'#!/bin/sh\nexec "{PYTHON}" "{stand_in_uv.__file__}" "$@"\n')
            uv.chmod(0o755)
        elif tool == "uv":
            uv.symlink_to(UV or "")

    def lock(self, lock: str, name: str, version: str) -> None:
        text = f"VERSION = {version!r}\n"
        pin = tiny_wheel.make_wheel(self.wheels, name, version, f"{name}.py", text)
        (self.root / "requirements" / f"{lock}.lock").write_text(pin)

    def start(self, *arguments: str, command: str = "train") -> subprocess.Popen[str]:
        surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        surroundings |= {
            "PATH": str(self.path),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": self.wheels.as_uri(),
            "UV_CALLS": str(self.calls),
            "UV_CACHE_DIR": str(self.root / "cache"),
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": self.wheels.as_uri(),
        }
        return subprocess.Popen(
            [self.root / "launch" / command, *arguments],
            cwd=self.root.parent,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, command: str = "train") -> tuple[int, str, str]:
        process = self.start(*arguments, command=command)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors


UV = shutil.which("uv")
TOOLS = ["pip", "stand-in", "uv"]


@pytest.fixture(scope="module", params=TOOLS)
def tool(request: pytest.FixtureRequest) -> str:
    if request.param == "uv" and UV is None:
        pytest.skip("uv is not on PATH")
    return request.param


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, tool: str) -> Checkout:
    """A checkout, after two first calls at once."""
    checkout = Checkout(tmp_path_factory.mktemp("a folder") / "check out", tool)
    calls = [checkout.start(), checkout.start()]
    ends = [call.communicate(timeout=120) for call in calls]
    assert [call.returncode for call in calls] == [7, 7], ends
    said = "".join(errors for _, errors in ends)
    making = f"making .venv from requirements/train.lock with {checkout.installer}"
    assert said.count(making) == 1
    assert said.count("waiting for another call") == 1
    assert ".venv is ready with" in said
    return checkout


@pytest.mark.parametrize("command", ["train", "inspect"])
def test_a_later_call_becomes_the_command_at_once(checkout: Checkout, command: str):
    process = checkout.start("--flag", "two words", command=command)
    output, errors = process.communicate(timeout=60)
    told = json.loads(output)
    assert (process.returncode, errors) == (7, "")
    assert told["arguments"] == ["--flag", "two words"]
    assert told["pid"] == process.pid
    assert told["cwd"] == str(checkout.root.parent)
    assert told["executable"] == str(checkout.root / ".venv/bin/python")
    assert not told["inspect"].startswith(str(checkout.root / "launch"))


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory, tool: str) -> Checkout:
    """A checkout with `launch/export`, before its first call; each test goes on from the last."""
    checkout = Checkout(tmp_path_factory.mktemp("exporting") / "checkout", tool)
    shutil.copy(ROOT / "launch" / "export", checkout.root / "launch" / "export")
    (checkout.root / "launch" / "export.py").write_text("import convert\n" + COMMAND)
    checkout.lock("test", "demo", "2.0")
    checkout.lock("converter", "convert", "1.0")
    return checkout


def test_where_no_converter_exists_none_is_installed(exporting: Checkout):
    lock = exporting.root / "requirements" / "converter.lock"
    lock.write_text(lock.read_text().replace(" ", " ; sys_platform == 'other' ", 1))
    code, _, errors = exporting.call(command="export")
    assert "making .venv from requirements/test.lock" in errors
    assert "No module named 'convert'" in errors  # the command itself is reached
    assert code == 1
    assert "making" not in exporting.call()[2]


def test_a_converter_that_cannot_be_had_leaves_the_rest(exporting: Checkout):
    exporting.lock("converter", "convert", "1.0")
    for wheel in exporting.wheels.glob("convert*"):
        wheel.unlink()
    code, _, errors = exporting.call(command="export")
    assert code == 1
    assert WORDS[exporting.installer][1] in errors
    code, _, errors = exporting.call()
    assert (code, errors) == (7, "")  # nothing is made again


def test_exporting_gets_the_test_lock_and_the_converter(exporting: Checkout):
    exporting.lock("converter", "convert", "1.0")
    code, output, errors = exporting.call(command="export")
    assert code == 7, errors
    assert json.loads(output)["demo"] == "2.0"
    exporting.lock("converter", "convert", "3.0")
    assert "updating .venv from requirements/converter.lock" in exporting.call(command="export")[2]


def test_a_signal_reaches_the_command(checkout: Checkout):
    process = checkout.start("--wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def test_it_works_through_a_link(checkout: Checkout):
    link = checkout.root / "path" / "train"
    link.symlink_to(checkout.root / "launch" / "train")
    assert checkout.call(command="../path/train")[0] == 7


def test_nobody_else_can_hold_the_environment_s_lock(checkout: Checkout):
    """Who can open a file can lock it, and have the next call wait for ever."""
    folder = checkout.root / ".venv"
    assert stat.S_IMODE((folder / "modelpatch.lock").stat().st_mode) == 0o600
    assert stat.S_IMODE(checkout.stamp.stat().st_mode) & 0o044  # others may still use it
    with open(checkout.stamp) as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)
        checkout.lock("train", "demo", "1.0.1")
        assert json.loads(checkout.call()[1])["demo"] == "1.0.1"


def test_a_changed_lock_updates_the_environment(checkout: Checkout):
    checkout.lock("train", "demo", "2.0")
    code, output, errors = checkout.call()
    assert (code, json.loads(output)["demo"]) == (7, "2.0")
    assert "updating .venv from requirements/train.lock" in errors


def test_a_refused_installation_is_explained_and_never_trusted(checkout: Checkout):
    lock = checkout.root / "requirements" / "train.lock"
    right = lock.read_text()
    checkout.lock("train", "demo", "3.0")
    lock.write_text(lock.read_text().partition("sha256:")[0] + "sha256:" + "0" * 64)
    code, output, errors = checkout.call()
    assert (code, output) == (1, "")
    assert "pip install" in errors
    assert WORDS[checkout.installer][0] in errors
    assert "Traceback" not in errors
    lock.write_text(right)
    code, output, errors = checkout.call()
    assert (code, json.loads(output)["demo"], errors) == (7, "2.0", "")  # as it was


def test_an_update_that_fails_half_way_is_not_trusted(checkout: Checkout):
    """The backend is updated, and then what the lock pins cannot be had."""
    checkout.lock("build", "tool", "2.0")
    checkout.lock("train", "demo", "4.0")
    wheel = checkout.wheels / "demo-4.0-py3-none-any.whl"
    wheel.rename(hidden := wheel.with_suffix(".hidden"))
    code, output, errors = checkout.call()
    assert (code, output) == (1, "")
    assert "updating .venv" in errors
    assert checkout.stamp.read_text() == ""
    hidden.rename(wheel)  # for the next test, which makes all again


def test_a_killed_first_call_leaves_nothing_that_is_trusted(checkout: Checkout):
    checkout.stamp.write_text("")  # as on a first call
    process = checkout.start()
    left_over = checkout.root / ".venv" / "left over"
    left_over.write_text("")
    deadline = time.monotonic() + 60
    while left_over.exists() and time.monotonic() < deadline:  # until it began again
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    assert checkout.stamp.read_text() == ""
    code, output, errors = checkout.call()
    assert code == 7, errors
    assert json.loads(output)["demo"] == "4.0"
    assert "making .venv" in errors


def test_uv_is_asked_for_hashes_in_the_right_order(tmp_path: pathlib.Path):
    checkout = Checkout(tmp_path / "checkout", "stand-in")
    shutil.copy(ROOT / "launch" / "export", checkout.root / "launch" / "export")
    (checkout.root / "launch" / "export.py").write_text(COMMAND)
    checkout.lock("test", "demo", "2.0")
    checkout.lock("converter", "convert", "1.0")
    assert checkout.call(command="export")[0] == 7
    calls = [json.loads(line) for line in checkout.calls.read_text().splitlines()]
    environment_of = checkout.root / ".venv"
    start = ["--directory", "/", "pip", "install", "--python", f"{environment_of}/bin/python"]
    wheels = ["--only-binary", ":all:", "--no-binary", "promise"]
    locked = [*wheels, "--require-hashes", "--requirement"]
    assert calls[0][2:4] == ["venv", "--allow-existing"]
    assert calls[0][-1] == str(environment_of)
    assert calls[1:] == [
        [*start, *locked, f"{checkout.root}/requirements/build.lock"],
        [*start, "--no-build-isolation", *locked, f"{checkout.root}/requirements/test.lock"],
        [*start, "--no-build-isolation", "--no-deps", "--editable", str(checkout.root)],
        [*start, "--no-deps", *locked, f"{checkout.root}/requirements/converter.lock"],
    ]


def test_uv_may_come_and_go(tmp_path: pathlib.Path):
    """What uv made holds no pip that could update it, so that pip makes its own."""
    checkout = Checkout(tmp_path / "checkout", "stand-in")
    assert "making .venv from requirements/train.lock with uv" in checkout.call()[2]
    checkout.use("pip")
    assert checkout.call()[2] == ""  # there is nothing to install
    checkout.lock("train", "demo", "2.0")
    assert "making .venv from requirements/train.lock with pip" in checkout.call()[2]
    checkout.use("stand-in")
    checkout.lock("train", "demo", "3.0")
    code, output, errors = checkout.call()
    assert "updating .venv from requirements/train.lock with uv" in errors
    assert (code, json.loads(output)["demo"]) == (7, "3.0")


def test_an_environment_of_the_user_is_left_alone(tmp_path: pathlib.Path):
    checkout = Checkout(tmp_path / "checkout")
    precious = checkout.root / ".venv" / "precious"
    precious.parent.mkdir()
    precious.write_text("mine")
    code, _, errors = checkout.call()
    assert code == 1
    assert "was not made by this command" in errors
    assert [path.name for path in precious.parent.iterdir()] == ["precious"]


def test_python_without_ensurepip_is_explained(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(environment, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(environment.SetupError, match="apt install python3-venv"):
        environment.make_empty_environment([], io.StringIO(), environment.Progress())


def test_python_that_is_too_old_is_explained(tmp_path: pathlib.Path):
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "readlink").symlink_to(shutil.which("readlink") or "")
    result = subprocess.run(
        [ROOT / "launch" / "train"], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "launch/train: needs Python 3.11 or newer" in result.stderr


def test_progress_is_the_last_line_that_was_printed():
    assert environment.last_line("") == "preparing"
    assert environment.last_line("Resolved 1 package\nDownloading jax (3 MiB)\n") == (
        "Downloading jax (3 MiB)"
    )
    assert len(environment.last_line("Installing collected packages: " + "demo, " * 99)) <= 70


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
    ],
)
def test_huge_pages_are_asked_for_unless_the_user_decided(monkeypatch, before, after):
    monkeypatch.setenv("GLIBC_TUNABLES", before)
    environment.use_huge_pages()
    assert os.environ["GLIBC_TUNABLES"] == after
