"""The library speaks of settings; which flag or command that is, only `launch` says."""

import ast
import importlib.util
import pathlib
import pkgutil
import re

import pytest
from absl import flags
from absl.testing import flagsaver

import adapters
import tasks
from adapters.errors import ModelPatchError
from adapters.experiment.settings import DEFAULTS, SettingError, settings_of
from adapters.store.errors import VersionError
from launch import command, run_flags, train
from launch.flag_names import FLAGS, flag_of
from launch.remedies import REMEDIES
from tests.imports import ROOT

NAMED = re.compile(r"(?<![\w-])--[a-z]|launch/")
# Command lines of other programs, by the file that runs or quotes them; nothing else.
OTHER_PROGRAMS = {
    "adapters/carriers.py": r"--(quiet|no-input|no-deps|only-binary=:all:|retries|platform"
    r"|disable-pip-version-check|python-version|ignore-scripts|fetch-retries=1)",
    "adapters/benchmarking/serving/load.py": r"--(version|lasting=|seed=|once|questions=|report="
    r"|host=|users=|spawn-rate=|headless|loglevel=ERROR|require-hashes|no-deps|requirement)",
    "adapters/benchmarking/serving/locustfile.py": r"--(questions|report|seed|once|lasting)",
    "adapters/benchmarking/serving/run.py": r"--(port=0|batches=|weights=)",
    "adapters/experiment/graph_runtimes.py": r"--prefix javascript",
    "adapters/export/converter.py": r"--no-deps",
    "adapters/export/quantiser.py": r"--no-deps",
    "adapters/serving/bodies.py": r"--data-binary",
    "adapters/native/library.py": r"--version",
    "tasks/records.py": r"--(file_format=array_record|data_dir=)",
}


def texts(tree):
    """Every string of a file that is no docstring, nor one that stands alone."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_no_message_below_launch_names_a_flag_or_a_command():
    wrong = {}
    for package in ("adapters", "tasks"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            others = OTHER_PROGRAMS.get(name)
            for text in texts(ast.parse(path.read_bytes())):
                rest = re.sub(others, "", text) if others else text
                if NAMED.search(rest):
                    wrong.setdefault(name, []).append(text)
    assert wrong == {}


def test_each_exception_of_that_is_needed():
    for name, others in OTHER_PROGRAMS.items():
        found = "\n".join(texts(ast.parse((ROOT / name).read_bytes())))
        assert re.search(others, found), name


def test_every_setting_of_a_run_is_a_flag_of_train():
    defined = flags.FLAGS
    in_python_alone = {"statistics_decay"}
    for name, default in DEFAULTS.items():
        if name in in_python_alone:
            assert name not in defined
            continue
        flag = defined[flag_of(name)]
        if name not in ("patch_rate", "shared_rate", "distillation"):  # they look at others
            assert flag.default == default, name
    assert set(FLAGS) - {"directory"} <= DEFAULTS.keys()
    assert run_flags.OUT.name == flag_of("directory")
    with flagsaver.flagsaver():
        flags.FLAGS(["train"])
        assert train.values().keys() <= DEFAULTS.keys()
        assert settings_of(**train.values()) == settings_of()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SettingError("size", "is odd."), "the setting size is odd. (--size)"),
        (
            SettingError("smoothing", "is odd.", "directory"),
            "the setting smoothing is odd. (--label_smoothing, --out)",
        ),
        (ModelPatchError("wrong.", settings=["no flag of this command"]), "wrong."),
        (
            VersionError("it is new"),
            "it is new. Give a version of numbers, such as 1.2.0. (--patch_version)",
        ),
        (FileNotFoundError(2, "No such file", "a.png"), "a.png: No such file."),
        (OSError("nothing"), "nothing"),
    ],
)
def test_a_command_adds_its_flags_to_the_words_of_the_library(error, said):
    assert command.in_words(error) == said


def error_types():
    for package in (adapters, tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            source = pathlib.Path(importlib.util.find_spec(module.name).origin)
            for node in ast.walk(ast.parse(source.read_bytes())):
                if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                    yield node.name


def test_remedies_are_of_errors_that_exist_and_of_commands_that_exist():
    assert REMEDIES.keys() <= set(error_types())
    for text in REMEDIES.values():
        for verb in re.findall(r"launch/(\w+)", text):
            assert (ROOT / "launch" / verb).is_file()
