"""Who may import whom: the folders are layers, and a device needs no training stack."""

import graphlib
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests import imports

MODULES = imports.read_modules()


def read_rooms(text: str) -> dict[str, set[str]]:
    """Each folder and the folders that it may import, from the table in CONTRIBUTING.md.

    A row names only folders of rows above it, so that they are layers.
    """
    rooms: dict[str, set[str]] = {"adapters": set()}  # its own few files, which all may import
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    for folders, others in re.findall(r"^\| (`.+) \| (.+) \|$", table, re.MULTILINE):
        if others == "everything above":
            allowed = set(rooms)
        else:
            allowed = {f"adapters.{name}" for name in re.findall("`(.+?)`", others)} | {"adapters"}
            assert others == "none" or len(allowed) > 1, others
            assert allowed <= rooms.keys(), f"{folders}: {others}"
        for folder in re.findall("`(.+?)`", folders):
            rooms[folder.replace("/", ".")] = allowed
    return rooms


ROOMS = read_rooms((imports.ROOT / "CONTRIBUTING.md").read_text())
# Folders that also keep to few distributions, so that they stay light where they must be.
LIGHT = {
    "adapters.layers": {"jax", "dm-haiku", "numpy"},
    "adapters.scheduling": {"jax", "numpy"},
    "adapters.store": {"numpy", "safetensors", "cryptography"},
}
# What a folder may import beside the extra `train`.
EXTRAS = {
    "adapters.runtime": ("device",),
    "adapters.export": ("device",),
    "adapters.experiment": ("serve",),
    "adapters.benchmarking": ("bench", "serve", "device"),
    "adapters.serving": ("serve",),
    "launch": ("bench", "serve"),
    "tests": ("test", "serve", "device"),
}
# The modules that use what a dependency group brings.
GROUPS = {
    "adapters.export.converter": "converter",
    "adapters.export.onnx.builder": "converter",
    "adapters.export.onnx.session": "converter",
    "adapters.export.quantiser": "converter",
    "adapters.benchmarking.serving.locustfile": "load",
    "tests.device.test_onnx": "converter",
    "tests.fuzzing": "fuzz",
    "tests.backbones.fuzz_weights": "fuzz",
    "tests.device.fuzz_graph": "fuzz",
    "tests.serving.fuzz_requests": "fuzz",
    "tests.store.fuzz_reader": "fuzz",
}
RUNTIMES = ("adapters.runtime.device", "adapters.runtime.stored")
ON_A_DEVICE = (
    *("adapters.store", "adapters.preprocessing", "adapters.files", "adapters.errors"),
    *("adapters.vocabulary", "adapters.modules"),
)


def room(module: imports.Module) -> str:
    """The folder that `module` lies in, as ROOMS spells it: `adapters.layers`, `tasks`."""
    depth = 2 if module.name.startswith("adapters") else 1
    return ".".join(module.path.parent.parts[:depth])


def trespasses(modules: Mapping[str, imports.Module]) -> dict[str, set[str]]:
    """Each module that imports what its room may not, and what that is."""
    wrong = {}
    for name, module in modules.items():
        allowed = ROOMS[room(module)] | {room(module)}
        wrong[name] = {other for other in module.ours if room(modules[other]) not in allowed}
    return {name: others for name, others in wrong.items() if others}


def test_every_folder_has_a_row_in_the_table():
    assert ROOMS.keys() == {room(module) for module in MODULES.values()}


def test_a_module_imports_only_what_its_room_may():
    assert trespasses(MODULES) == {}


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("adapters/files.py", "adapters.layers.norm"),
        ("adapters/layers/norm.py", "adapters.backbones.table"),
        ("adapters/serving/app.py", "adapters.training.step"),
        ("adapters/heads/regression.py", "adapters.store.kinds"),
        ("adapters/training/step.py", "adapters.store.read"),
        ("adapters/store/read.py", "adapters.runtime.device"),
        ("adapters/experiment/runs.py", "adapters.benchmarking.run"),
        ("tasks/task.py", "adapters.training.step"),
        ("launch/train.py", "tests.narrow"),
    ],
)
def test_a_wall_is_noticed(tmp_path: pathlib.Path, importer: str, imported: str):
    for path in (importer, f"{imported.replace('.', '/')}.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / importer).write_text(f"def late():\n    import {imported}\n")
    modules = imports.read_modules(tmp_path)
    name = importer.removesuffix(".py").replace("/", ".")
    assert trespasses(modules) == {name: {imported}}


def test_a_row_of_the_table_names_only_rows_above_it():
    rows = (
        "## Rooms\n| folder | imports |\n|---|---|\n| `tasks` | `{}` |\n| `adapters/b` | none |\n"
    )
    with pytest.raises(AssertionError, match="`tasks`: `b`"):
        read_rooms(rows.format("b"))


def test_imports_go_round_in_no_circle():
    graph = {name: module.ours - {name} for name, module in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(("folder", "allowed"), LIGHT.items())
def test_a_light_folder_keeps_to_its_distributions(folder: str, allowed: set[str]):
    used = {name: MODULES[name].distributions for name in MODULES if room(MODULES[name]) == folder}
    assert {name: extra for name, found in used.items() if (extra := found - allowed)} == {}


def test_what_a_module_imports_is_declared_in_pyproject():
    wrong = {}
    for name, module in MODULES.items():
        own = EXTRAS.get(room(module), ())
        wrong[name] = module.distributions - imports.declared("train", *own)
        if name in GROUPS:
            wrong[name] -= imports.grouped(GROUPS[name])
    assert {name: undeclared for name, undeclared in wrong.items() if undeclared} == {}


def device_modules() -> list[str]:
    return [name for name in MODULES if name.startswith(ON_A_DEVICE)]


def at_the_top(name: str) -> frozenset[str]:
    """What a module needs on a device: heads import JAX inside the functions that train."""
    late = {"jax"} if room(MODULES[name]) == "adapters.heads" else set()
    return MODULES[name].distributions - late


def test_what_a_device_needs_is_in_the_plain_installation():
    needed = imports.closure(MODULES, *device_modules())
    used = frozenset().union(*map(at_the_top, needed))
    assert used <= imports.declared()
    assert {"numpy", "pillow"} <= used  # the modules were really looked at


def training_stack() -> set[str]:
    """What Python calls the packages that only the extra `train` brings."""
    train_only = imports.declared("train") - imports.declared()
    return {name.replace("-", "_") for name in train_only} | {"haiku", "orbax"}


def test_on_a_device_nothing_of_the_training_stack_is_loaded():
    names = training_stack()
    code = (
        f"import {', '.join(device_modules())}, sys\n"
        f"print(*sorted({names!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    command = [sys.executable, "-c", code]
    output = subprocess.run(
        command, cwd=imports.ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert output.stdout.split() == []


BLOCKED = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ImportError(f"{{name}} is not in the plain installation")

sys.meta_path.insert(0, Blocker())
sys.argv = {arguments!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def test_commands_for_the_plain_installation_need_nothing_of_the_training_stack(
    tmp_path: pathlib.Path,
):
    """They really run, where it cannot be imported."""
    patch = pathlib.Path(shutil.copy(imports.ROOT / "tests/data/patches/tiny.patch", tmp_path))
    key = tmp_path / "maker"

    def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = BLOCKED.format(names=training_stack(), module=module, arguments=[module, *arguments])
        command = [sys.executable, "-c", code]
        return subprocess.run(command, cwd=imports.ROOT, capture_output=True, text=True)

    for verb, arguments in (
        ("sign", [f"--new_key={key}"]),
        ("sign", [str(patch), f"--key={key}"]),
        ("verify", [str(patch), f"--trusted={key}.pub"]),
    ):
        ended = run(f"launch.{verb}", *arguments)
        assert ended.returncode == 0, ended.stderr
    assert "undamaged" in ended.stdout
    told = run("launch.install", str(patch), f"--store={tmp_path / 'store'}").stderr
    assert "is not in the plain installation. Give the exported backbone, --graph" in told
    assert run("launch.evaluate", "--help").stderr.endswith("not in the plain installation\n")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_runtime_needs_litert_beside_the_plain_installation(runtime: str):
    needed = imports.closure(MODULES, runtime)
    used = frozenset().union(*map(at_the_top, needed))
    assert used <= imports.declared("device")
    assert "ai-edge-litert" in used
    assert {room(MODULES[name]) for name in needed} == {
        "adapters",
        "adapters.heads",
        "adapters.runtime",
        "adapters.store",
    }


def test_a_package_imports_nothing_heavy():
    packages = [module for module in MODULES.values() if module.is_package]
    assert {module.name for module in packages if module.distributions} == set()
    assert {name for module in packages for name in module.ours} == {"adapters", "tasks"}


def test_the_launcher_needs_the_standard_library_alone():
    module = MODULES["launch.environment"]
    assert not module.ours
    assert not module.distributions
