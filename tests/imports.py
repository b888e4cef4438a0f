"""What every Python file of this repository imports, read from its source and not by running it."""

import ast
import dataclasses
import functools
import importlib.util
import pathlib
import sys
import tomllib
from collections.abc import Iterator, Mapping

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("adapters", "tasks", "launch", "tests")
# Its public names load what they need when they are used; editors alone see them imported.
LAZY = pathlib.PurePosixPath("adapters/__init__.py")
# Distributions whose import name is another; for the rest it is the same but for `_` and `-`.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "absl": "absl-py",
    "google": "protobuf",
    "haiku": "dm-haiku",
    "orbax": "orbax-checkpoint",
}


@dataclasses.dataclass(frozen=True)
class Module:
    """One Python file.

    Attributes:
      name: as Python knows it, `adapters.layers.norm`; a package's `__init__.py` has the package's.
      path: relative to the root, `adapters/layers/norm.py`.
      ours: names of the modules of this repository that it imports, inside functions too.
      distributions: what it imports from elsewhere, by the name it is installed under.
      has_main: whether it is a script: it ends in `if __name__ == "__main__"`.
    """

    name: str
    path: pathlib.PurePosixPath
    ours: frozenset[str]
    distributions: frozenset[str]
    has_main: bool

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


def read_modules(root: pathlib.Path = ROOT) -> dict[str, Module]:
    """Returns every Python file below `PACKAGES` by its name.

    Raises ValueError where a file imports a module of ours that does not exist.
    """
    paths = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            path = pathlib.PurePosixPath(file.relative_to(root))
            parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
            paths[".".join(parts)] = path
    return {name: read_module(root, name, path, paths) for name, path in paths.items()}


def read_module(
    root: pathlib.Path,
    name: str,
    path: pathlib.PurePosixPath,
    paths: Mapping[str, pathlib.PurePosixPath],
) -> Module:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names, is_script = _told((root / path).read_bytes(), path, package)
    ours, distributions = set(), set()
    for imported in names:
        top = imported.partition(".")[0]
        if top in PACKAGES:
            ours.add(nearest(imported, paths, path))
        elif top not in sys.stdlib_module_names:
            distributions.add(DISTRIBUTIONS.get(top, normalised(top)))
    return Module(name, path, frozenset(ours), frozenset(distributions), is_script)


@functools.cache  # several tests read the same files
def _told(source: bytes, path: pathlib.PurePosixPath, package: str) -> tuple[frozenset[str], bool]:
    """What a file imports, and whether it is a script."""
    tree = ast.parse(source, filename=str(path))
    if path == LAZY:
        tree.body = [node for node in tree.body if not _is_for_editors(node)]
    return frozenset(imported_names(tree, package)), has_main(tree)


def _is_for_editors(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    """Yields `a.b` for `import a.b`, and `a.b.c` for `from a.b import c`, whatever `c` is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def nearest(
    imported: str,
    paths: Mapping[str, pathlib.PurePosixPath],
    importer: pathlib.PurePosixPath,
) -> str:
    """The module that `imported` is, or, where it names something inside a module, that module."""
    for name in (imported, imported.rpartition(".")[0]):
        if name in paths:
            return name
    raise ValueError(f"{importer} imports {imported}, which is no module of this repository")


def has_main(tree: ast.Module) -> bool:
    guard = ast.dump(ast.parse('__name__ == "__main__"', mode="eval").body)
    return any(isinstance(node, ast.If) and ast.dump(node.test) == guard for node in tree.body)


def closure(modules: Mapping[str, Module], *names: str) -> set[str]:
    """Returns `names` and all modules of ours that importing them may import in the end."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(modules[name].ours)
    return seen


@functools.cache
def declared(*extras: str) -> frozenset[str]:
    """The distributions that pyproject.toml asks for: always, and with each of `extras`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return frozenset(normalised(entry.partition(">=")[0]) for entry in wanted)


@functools.cache
def grouped(group: str) -> frozenset[str]:
    """The distributions of one of pyproject.toml's dependency groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return frozenset(
        normalised(entry.partition(">=")[0]) for entry in project["dependency-groups"][group]
    )


def normalised(name: str) -> str:
    return name.strip().lower().replace("_", "-")
