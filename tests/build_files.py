"""The BUILD files: one target per Python file, whose deps are what the file imports.

`python -m tests.build_files --write` brings them up to date; a test says when they are not.
"""

import pathlib
import sys
from collections.abc import Iterable, Mapping

from tests import imports

# This module imports all of its folder, found when it runs. Bazel allows no circle, so the scripts
# and tests that lead to it depend on the folder in its stead.
DISCOVERS = ("tasks.registry", "tasks.")
HEADER = """\
# Written by `python -m tests.build_files --write` from the files' own imports.
"""


def main(arguments: list[str]) -> int:
    """Prints the BUILD files that differ from what they should be; with --write, mends them."""
    if arguments not in ([], ["--write"]):
        print("usage: python -m tests.build_files [--write]", file=sys.stderr)
        return 2
    wrong = differences(imports.ROOT)
    for path, text in wrong.items():
        print(path)
        if arguments:
            if text is None:
                (imports.ROOT / path).unlink()
            else:
                (imports.ROOT / path).write_text(text)
    return 1 if wrong and not arguments else 0


def differences(root: pathlib.Path) -> dict[pathlib.PurePosixPath, str | None]:
    """Returns the right text of each BUILD file that is wrong; None where there should be none."""
    right = render(imports.read_modules(root))
    found = {
        pathlib.PurePosixPath(file.relative_to(root)): file.read_text()
        for package in imports.PACKAGES
        for file in (root / package).rglob("BUILD")
    }
    paths = sorted(right.keys() | found.keys())
    return {path: right.get(path) for path in paths if right.get(path) != found.get(path)}


def render(modules: Mapping[str, imports.Module]) -> dict[pathlib.PurePosixPath, str]:
    """Returns the text of each folder's BUILD file, by its path."""
    folders: dict[pathlib.PurePosixPath, list[imports.Module]] = {}
    for module in modules.values():
        folders.setdefault(module.path.parent, []).append(module)
    return {
        folder / "BUILD": build_file([(module, deps(module, modules)) for module in members])
        for folder, members in folders.items()
    }


def deps(module: imports.Module, modules: Mapping[str, imports.Module]) -> list[str]:
    """Returns the labels of all that `module` imports.

    To import a module is to run its packages' `__init__` first, so each target depends on its own
    folder's, and that on its parent folder's; and pytest imports every `conftest.py` above a test.
    What only the extra [bench] or a dependency group brings is not in the lock that Bazel reads, so
    Bazel has none of it.
    """
    folders = module.path.parent.parts
    implied = {".".join(folders[:-1] if module.is_package else folders)}
    if rule(module) == "pytest_test":
        implied |= {
            ".".join([*folders[:depth], "conftest"]) for depth in range(1, len(folders) + 1)
        }
    if rule(module) != "py_library" and DISCOVERS[0] in imports.closure(modules, module.name):
        implied |= {name for name in modules if name.startswith(DISCOVERS[1])}
    ours = module.ours | (implied & modules.keys())
    labels = [label(modules[name], module.path.parent) for name in ours - {module.name}]
    groups = frozenset().union(*map(imports.grouped, ("converter", "fuzz", "load")))
    unlocked = (imports.declared("bench") | groups) - imports.declared("train", "test")
    return sorted(labels, key=lambda text: (text.startswith("//"), text)) + [
        f'requirement("{name}")' for name in sorted(module.distributions - unlocked)
    ]


def label(module: imports.Module, folder: pathlib.PurePosixPath) -> str:
    here = "" if module.path.parent == folder else f"//{module.path.parent}"
    return f"{here}:{module.path.stem}"


def rule(module: imports.Module) -> str:
    if module.path.name.startswith("test_"):
        return "pytest_test"
    return "py_binary" if module.has_main else "py_library"


def build_file(targets: list[tuple[imports.Module, list[str]]]) -> str:
    targets = sorted(targets, key=lambda target: target[0].path.name)
    rules = {rule(module) for module, _ in targets}
    wants_pip = any("requirement(" in dep for _, labels in targets for dep in labels)
    return "\n".join(
        [
            HEADER,
            *(['load("@pip//:requirements.bzl", "requirement")'] if wants_pip else []),
            *load("@rules_python//python:defs.bzl", rules - {"pytest_test"}),
            *load("//tests:pytest.bzl", rules & {"pytest_test"}),
            "",
            'package(default_visibility = ["//visibility:public"])',
            *(target(module, labels) for module, labels in targets),
            "",
        ]
    )


def load(source: str, names: Iterable[str]) -> list[str]:
    quoted = [f'"{name}"' for name in sorted(names)]
    return [f'load("{source}", {", ".join(quoted)})'] if quoted else []


def target(module: imports.Module, labels: list[str]) -> str:
    lines = [
        f"\n{rule(module)}(",
        f'    name = "{module.path.stem}",',
        f'    srcs = ["{module.path.name}"],',
    ]
    if labels:
        quoted = (text if text.startswith("requirement") else f'"{text}"' for text in labels)
        lines += ["    deps = [", *(f"        {text}," for text in quoted), "    ],"]
    return "\n".join([*lines, ")"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
