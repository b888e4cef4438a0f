"""The BUILD files: one library a folder, whose deps are the folders that its files import.

`python -m tests.build_files --write` brings them up to date; a test says when they are not.
"""

import pathlib
import sys
from collections.abc import Mapping, Sequence

from tests import imports

Folder = pathlib.PurePosixPath  # relative to the root, `adapters/layers`

HEADER = """\
# Written by `python -m tests.build_files --write` from what the files import.

{loads}
package(default_visibility = ["//visibility:public"])
"""
LOADS = {
    "@pip//:requirements.bzl": ["requirement"],
    "@rules_python//python:defs.bzl": ["py_binary", "py_library"],
    "//tests:pytest.bzl": ["pytest_tests"],
}
LIBRARY = """
py_library(
    name = "{name}",
    srcs = glob({files}),{data}{deps}
)
"""
SCRIPTS = """
[
    py_binary(
        name = script[:-len(".py")],
        srcs = [script],
        deps = [":{name}"],
    )
    for script in [{scripts}
    ]
]
"""
TESTS = """
pytest_tests(
    srcs = glob(["test_*.py"]),{deps}
)
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
    """Returns the text of each BUILD file, by its path."""
    homes = find_homes(modules)
    return {
        home / "BUILD": build_file(
            home, [module for module in modules.values() if homes[module.name] == home], homes
        )
        for home in sorted(set(homes.values()))
    }


def find_homes(modules: Mapping[str, imports.Module]) -> dict[str, Folder]:
    """Returns, for each module, the folder whose targets hold it: its own, or one above.

    A folder needs the one above it, whose `__init__` Python runs first. Where that one needs it
    too, one target holds both, since Bazel allows no circle.
    """
    needed: dict[Folder, set[Folder]] = {module.path.parent: set() for module in modules.values()}
    for module in modules.values():
        if not is_test(module):
            needed[module.path.parent] |= {modules[name].path.parent for name in module.ours}
    homes: dict[Folder, Folder] = {}
    for folder in sorted(needed):
        circle = folder.parent in needed and folder in reach(needed, folder.parent)
        homes[folder] = homes[folder.parent] if circle else folder
    return {name: homes[module.path.parent] for name, module in modules.items()}


def reach(needed: Mapping[Folder, set[Folder]], start: Folder) -> set[Folder]:
    """Returns `start` and all that it needs, and what those need, to the end."""
    seen: set[Folder] = set()
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        if folder not in seen:
            seen.add(folder)
            waiting += needed[folder]
    return seen


def is_test(module: imports.Module) -> bool:
    return module.path.name.startswith("test_")


def build_file(home: Folder, members: Sequence[imports.Module], homes: Mapping[str, Folder]) -> str:
    """Returns the text of the BUILD file in `home`, which holds `members`."""
    library = [module for module in members if not is_test(module)]
    scripts = sorted(str(module.path.relative_to(home)) for module in library if module.has_main)
    tests = [module for module in members if is_test(module)]
    deep = any(module.path.parent != home for module in members)
    files = '["**/*.py"]' if deep else '["*.py"]'
    if tests:
        files += ', exclude = ["test_*.py"]'
    sources = [*(imports.ROOT / home).glob("*.cc")]
    data = '\n    data = glob(["*.cc"]),' if sources else ""
    text = LIBRARY.format(
        name=home.name, files=files, data=data, deps=listed(deps(home, library, homes))
    )
    if scripts:
        quoted = "".join(f'\n        "{script}",' for script in scripts)
        text += SCRIPTS.format(name=home.name, scripts=quoted)
    if tests:
        labels = [f'":{home.name}"', *deps(home, tests, homes)]
        text += TESTS.format(deps=listed(labels))
    used = {
        source: [f'"{name}"' for name in names if f"{name}(" in text]
        for source, names in LOADS.items()
    }
    loads = [f'load("{source}", {", ".join(names)})\n' for source, names in used.items() if names]
    return HEADER.format(loads="".join(loads)) + text


def deps(home: Folder, files: Sequence[imports.Module], homes: Mapping[str, Folder]) -> list[str]:
    """Returns what `files` in `home` import: labels of folders, then what pip installs.

    The nearest folder above comes too: Python runs its `__init__` first, and pytest its conftest.
    What only the extra [bench] or a dependency group brings is not in the lock that Bazel reads, so
    Bazel has none of it.
    """
    folders = {homes[name] for file in files for name in file.ours}
    folders |= {*[above for above in home.parents if above in homes.values()][:1]}
    groups = frozenset().union(*map(imports.grouped, ("converter", "fuzz", "load")))
    unlocked = (imports.declared("bench") | groups) - imports.declared("train", "test")
    distributions = {name for file in files for name in file.distributions} - unlocked
    labels = [f'"//{folder}"' for folder in sorted(folders - {home})]
    return [*labels, *(f'requirement("{name}")' for name in sorted(distributions))]


def listed(labels: list[str]) -> str:
    """The attribute `deps` of a target as buildifier writes it, or nothing."""
    if len(labels) < 2:
        return "".join(f"\n    deps = [{label}]," for label in labels)
    return "\n    deps = [" + "".join(f"\n        {label}," for label in labels) + "\n    ],"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
