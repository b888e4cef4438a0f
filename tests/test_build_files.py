"""The BUILD files say what the files import, and what they say is what Python then loads."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests import build_files, imports

MODULES = imports.read_modules()


def read_targets() -> dict[str, list[str]]:
    """Returns the deps of every target by its label, from the BUILD files as they stand."""
    targets: dict[str, list[str]] = {}
    for package in imports.PACKAGES:
        for file in (imports.ROOT / package).rglob("BUILD"):
            folder = file.parent.relative_to(imports.ROOT).as_posix()

            def declare(name, srcs, deps=(), folder=folder):
                assert srcs == [f"{name}.py"]
                assert f"//{folder}:{name}" not in targets
                full = [f"//{folder}{dep}" if dep.startswith(":") else dep for dep in deps]
                targets[f"//{folder}:{name}"] = full

            rules = dict.fromkeys(["py_library", "py_binary", "pytest_test"], declare)
            words = {"load": lambda *_: None, "package": lambda **_: None, "requirement": str.lower}
            exec(file.read_text(), rules | words)
    return targets


TARGETS = read_targets()


def test_build_files_are_current():
    wrong = [str(path) for path in build_files.differences(imports.ROOT)]
    assert not wrong, "run `python -m tests.build_files --write`"


def test_every_file_has_a_target_and_every_dep_is_one():
    files = {f"//{module.path.parent}:{module.path.stem}" for module in MODULES.values()}
    assert set(TARGETS) == files
    inner = {dep for deps in TARGETS.values() for dep in deps if dep.startswith("//")}
    assert inner <= files


def test_what_python_loads_is_what_the_deps_lead_to():
    """Imports each module alone, in a new process, and looks at what came with it."""
    names = ["adapters.store.read", "adapters.preprocessing", "launch.environment"]
    labels = {
        name: f"//{module.path.parent}:{module.path.stem}" for name, module in MODULES.items()
    }
    for name in names:
        loaded = set(
            json.loads(run(f"import json, sys, {name}; print(json.dumps([*sys.modules]))"))
        )
        reachable, waiting = set(), [labels[name]]
        while waiting:
            if (target := waiting.pop()) not in reachable:
                reachable.add(target)
                waiting += TARGETS.get(target, [])
        assert {labels[module] for module in loaded & MODULES.keys()} <= reachable, name


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=imports.ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    files = {
        "adapters/__init__.py": "",
        "adapters/layers/__init__.py": "",
        "adapters/layers/norm.py": "import os.path, numpy\nfrom PIL import Image\n",
        "tasks/registry.py": "",
        "tasks/digits.py": "from tasks import registry\n",
        "launch/train.py": (
            "from adapters.layers import norm\nfrom tasks import registry\n"
            "if __name__ == '__main__':\n    pass\n"
        ),
        "tests/conftest.py": "",
        "tests/helper.py": "",
        "tests/test_norm.py": (
            "from tests import helper\ndef test_it():\n    from adapters.layers.norm import Image\n"
        ),
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_deps_of_a_small_tree(tree: pathlib.Path):
    modules = imports.read_modules(tree)
    deps = {name: build_files.deps(module, modules) for name, module in modules.items()}
    assert deps == {
        "adapters": [],
        "adapters.layers": ["//adapters:__init__"],
        "adapters.layers.norm": [":__init__", 'requirement("numpy")', 'requirement("pillow")'],
        "tasks.registry": [],
        "tasks.digits": [":registry"],
        "launch.train": ["//adapters/layers:norm", "//tasks:digits", "//tasks:registry"],
        "tests.conftest": [],
        "tests.helper": [],
        "tests.test_norm": [":conftest", ":helper", "//adapters/layers:norm"],
    }
    rules = {name: build_files.rule(module) for name, module in modules.items()}
    assert rules["launch.train"] == "py_binary"
    assert rules["tests.test_norm"] == "pytest_test"
    assert rules["adapters.layers.norm"] == "py_library"


def test_a_new_a_changed_and_a_left_over_build_file_are_noticed(tree: pathlib.Path):
    right = build_files.render(imports.read_modules(tree))
    assert build_files.differences(tree) == right
    for path, text in right.items():
        (tree / path).write_text(text)
    assert not build_files.differences(tree)
    (tree / "adapters/layers/norm.py").write_text("")
    (tree / "launch/train.py").unlink()
    wrong = build_files.differences(tree)
    assert {str(path): text is None for path, text in wrong.items()} == {
        "adapters/layers/BUILD": False,
        "launch/BUILD": True,
    }


def test_an_import_of_a_module_that_is_not_there_is_an_error(tree: pathlib.Path):
    (tree / "launch/train.py").write_text("from adapters.layer import norm\n")
    with pytest.raises(ValueError, match=r"launch/train.py imports adapters\.layer\.norm"):
        imports.read_modules(tree)
