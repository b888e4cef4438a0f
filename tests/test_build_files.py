"""The BUILD files say what the files import, and what they say is what Python then loads."""

import dataclasses
import graphlib
import json
import pathlib
import subprocess
import sys

import pytest

from tests import build_files, imports

MODULES = imports.read_modules()


@dataclasses.dataclass(frozen=True)
class Target:
    """What Bazel makes of one rule: its rule, its files (from the root), what it depends on."""

    rule: str
    files: frozenset[str]
    deps: tuple[str, ...]


def read_targets(root: pathlib.Path) -> dict[str, Target]:
    """Returns every target by its label, from the BUILD files as they stand.

    They are run as Python, which Bazel's language is a part of.
    """
    targets: dict[str, Target] = {}
    for file in sorted(
        path for package in imports.PACKAGES for path in (root / package).rglob("BUILD")
    ):
        exec(file.read_text(), rules(root, file.parent.relative_to(root), targets))
    return targets


def rules(root: pathlib.Path, folder: pathlib.Path, targets: dict[str, Target]) -> dict:
    """The words of the BUILD file in `folder`; what it declares goes into `targets`."""

    def glob(patterns, exclude=()):
        inside = [set((root / folder).glob(pattern)) for pattern in patterns]
        outside = [set((root / folder).glob(pattern)) for pattern in exclude]
        found = set().union(*inside).difference(*outside)
        below = {path.parent for path in (root / folder).rglob("*/BUILD")}
        found = {path for path in found if below.isdisjoint(path.parents)}  # as Bazel's stops there
        return sorted(path.relative_to(root / folder).as_posix() for path in found)

    def declare(rule, name, srcs, deps):
        label = f"//{folder}:{name}"
        assert label not in targets
        files = frozenset(f"{folder}/{source}" for source in srcs)
        assert all((root / file).is_file() for file in files), label
        assert len(set(deps)) == len(deps), label  # which Bazel refuses
        targets[label] = Target(rule, files, tuple(full(dep) for dep in deps))

    def full(dep):
        """`//adapters/store` for `//adapters/store:store`, as Bazel has it, and `:store` inside."""
        if dep.startswith(":"):
            return f"//{folder}{dep}"
        return f"{dep}:{dep.rpartition('/')[2]}" if dep.startswith("//") else dep

    def pytest_tests(srcs, deps):
        for source in srcs:
            declare("pytest", source.removesuffix(".py"), [source], deps)

    def rule(kind):
        return lambda name, srcs, data=(), deps=(): declare(kind, name, [*srcs, *data], deps)

    return {
        "load": lambda *_: None,
        "package": lambda **_: None,
        "requirement": str.lower,
        "glob": glob,
        "py_library": rule("library"),
        "py_binary": rule("binary"),
        "pytest_tests": pytest_tests,
    }


TARGETS = read_targets(imports.ROOT)
# The target that holds each file. A script is a target too, but its library holds it.
HOLDERS = {
    file: label
    for label, target in TARGETS.items()
    if target.rule != "binary"
    for file in target.files
}


def reach(label: str) -> set[str]:
    """`label` and every target that its deps lead to."""
    seen, waiting = set(), [label]
    while waiting:
        if (target := waiting.pop()) not in seen:
            seen.add(target)
            waiting += TARGETS[target].deps if target in TARGETS else ()
    return seen


def test_build_files_are_current():
    wrong = [str(path) for path in build_files.differences(imports.ROOT)]
    assert not wrong, "run `python -m tests.build_files --write`"


def test_every_file_is_held_by_one_target():
    held = [file for target in TARGETS.values() if target.rule != "binary" for file in target.files]
    native = {file.relative_to(imports.ROOT) for file in (imports.ROOT / "adapters").rglob("*.cc")}
    files = [*native, *(module.path for module in MODULES.values())]
    assert sorted(held) == sorted(map(str, files))


def test_every_script_can_be_run():
    scripts = {str(module.path) for module in MODULES.values() if module.has_main}
    binaries = [target for target in TARGETS.values() if target.rule == "binary"]
    assert sorted(file for target in binaries for file in target.files) == sorted(scripts)
    assert TARGETS["//launch:train"].files == {"launch/train.py"}
    assert all(HOLDERS[file] in target.deps for target in binaries for file in target.files)


def test_every_dep_is_a_target_or_is_in_the_lock():
    deps = {dep for target in TARGETS.values() for dep in target.deps}
    lock = (imports.ROOT / "requirements" / "test.lock").read_text().splitlines()
    locked = {line.partition("==")[0] for line in lock}
    assert deps <= TARGETS.keys() | locked


def test_the_targets_go_round_in_no_circle():
    graph = {label: target.deps for label, target in TARGETS.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_a_test_imports_from_no_test_of_another_folder():
    """Bazel gives a test those of its own folder alone (`pytest.bzl`)."""
    tests = {name: module for name, module in MODULES.items() if build_files.is_test(module)}
    for module in MODULES.values():
        others = [tests[name].path.parent for name in module.ours & tests.keys()]
        assert set(others) <= {module.path.parent}, module.path


@pytest.mark.parametrize(
    "name",
    ["adapters.store.read", "adapters.preprocessing", "launch.environment", "tasks.registry"],
)
def test_what_python_loads_is_what_the_deps_lead_to(name: str):
    """Imports the module alone, in a new process, and looks at what came with it."""
    code = f"import json, sys, {name}; print(json.dumps([*sys.modules]))"
    command = [sys.executable, "-c", code]
    output = subprocess.run(
        command, cwd=imports.ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    loaded = set(json.loads(output)) & MODULES.keys()
    assert name in loaded
    needed = {HOLDERS[str(MODULES[module].path)] for module in loaded}
    assert needed <= reach(HOLDERS[str(MODULES[name].path)])


def test_the_store_leads_to_no_training_stack():
    deps = reach("//adapters/store:store")
    assert {dep for dep in deps if dep.startswith("//")} == {
        "//adapters/store:store",
        "//adapters/heads:heads",
        "//adapters:adapters",
    }
    assert "cryptography" in deps
    assert not deps & {"dm-haiku", "optax"}


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    files = {
        "adapters/__init__.py": "",
        "adapters/layers/__init__.py": "",
        "adapters/layers/norm.py": "import os.path, numpy\nfrom PIL import Image\n",
        "adapters/tables/__init__.py": "",
        "adapters/tables/table.py": "from adapters.tables.rows import row\n",
        "adapters/tables/rows/__init__.py": "",
        "adapters/tables/rows/row.py": "from adapters.layers import norm\n",
        "tasks/registry.py": "",
        "tasks/digits.py": "from tasks import registry\n",
        "launch/train.py": (
            "from adapters.tables import table\nfrom tasks import registry\n"
            "if __name__ == '__main__':\n    pass\n"
        ),
        "tests/conftest.py": "",
        "tests/deep/__init__.py": "",
        "tests/deep/helper.py": "import haiku, locust\n",
        "tests/deep/test_norm.py": (
            "from tests.deep import helper, test_other\n"
            "def test_it():\n    from adapters.layers.norm import Image\n"
        ),
        "tests/deep/test_other.py": "import pytest\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def write_build_files(tree: pathlib.Path) -> None:
    for path, text in build_files.render(imports.read_modules(tree)).items():
        (tree / path).write_text(text)


def test_targets_of_a_small_tree(tree: pathlib.Path):
    write_build_files(tree)
    targets = read_targets(tree)
    of_tests = ("//tests/deep:deep", "//adapters/layers:layers", "//tests:tests", "pytest")
    assert {label: target.deps for label, target in targets.items()} == {
        "//adapters:adapters": (),
        "//adapters/layers:layers": ("//adapters:adapters", "numpy", "pillow"),
        "//adapters/tables:tables": ("//adapters:adapters", "//adapters/layers:layers"),
        "//tasks:tasks": (),
        "//launch:launch": ("//adapters/tables:tables", "//tasks:tasks"),
        "//launch:train": ("//launch:launch",),
        "//tests:tests": (),
        "//tests/deep:deep": ("//tests:tests", "dm-haiku"),  # no lock of Bazel's has locust
        "//tests/deep:test_norm": of_tests,
        "//tests/deep:test_other": of_tests,
    }
    # Its two folders need each other, so that one target holds both.
    assert targets["//adapters/tables:tables"].files == {
        "adapters/tables/__init__.py",
        "adapters/tables/table.py",
        "adapters/tables/rows/__init__.py",
        "adapters/tables/rows/row.py",
    }
    assert targets["//tests/deep:deep"].files == {"tests/deep/__init__.py", "tests/deep/helper.py"}


def test_a_new_a_changed_and_a_left_over_build_file_are_noticed(tree: pathlib.Path):
    right = build_files.render(imports.read_modules(tree))
    assert build_files.differences(tree) == right
    write_build_files(tree)
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
