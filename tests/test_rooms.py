"""Who may import whom: the folders are layers, and a device needs no training stack."""

import graphlib
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import imports

MODULES = imports.read_modules()

# Each folder and the folders that it may import. All may import `adapters`' own few files, which
# import no folder; the commands and the tests may import everything.
ROOMS: dict[str, set[str]] = {
    "adapters.layers": set(),
    "adapters.backbones": {"adapters.layers"},
    "adapters.heads": {"adapters.layers"},
    "adapters.patches": {"adapters.layers", "adapters.backbones"},
    "adapters.analysis": {"adapters.backbones"},
    "adapters.scheduling": set(),
    "adapters.training": {
        "adapters.layers",
        "adapters.backbones",
        "adapters.heads",
        "adapters.patches",
        "adapters.scheduling",
    },
    "adapters.store": set(),
    "adapters.runtime": {"adapters.store"},
    "adapters.inference": {
        "adapters.store",
        "adapters.backbones",
        "adapters.patches",
        "adapters.runtime",
    },
    "adapters.export": {
        "adapters.store",
        "adapters.backbones",
        "adapters.patches",
        "adapters.runtime",
        "adapters.inference",
    },
    "adapters.serving": {
        "adapters.store",
        "adapters.backbones",
        "adapters.runtime",
        "adapters.inference",
    },
    "tasks": {"adapters.heads"},
}
# Where everything meets; `adapters.experiment` is what `launch` and a notebook call.
MEETING = ("adapters.experiment", "adapters.benchmarking")
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
    "tests.store.fuzz_reader": "fuzz",
}
RUNTIMES = ("adapters.runtime.device", "adapters.runtime.stored")
ON_A_DEVICE = (
    *("adapters.store", "adapters.preprocessing", "adapters.files", "adapters.errors"),
    *("adapters.vocabulary", "adapters.modules"),
)


def room(name: str) -> str:
    """The folder that the module `name` lies in, as ROOMS spells it: `adapters.layers`, `tasks`."""
    module = MODULES[name]
    depth = 2 if name.startswith("adapters") else 1
    return ".".join(module.path.parent.parts[:depth])


def test_a_module_imports_only_the_folders_below_its_own():
    wrong = {}
    for name, module in MODULES.items():
        own = room(name)
        if own in MEETING:
            below = {*ROOMS, *MEETING[: MEETING.index(own)]}
            wrong[name] = {
                other for other in module.ours if room(other) not in below | {own, "adapters"}
            }
        elif own not in ("launch", "tests"):
            allowed = {own, "adapters"} | (set() if own == "adapters" else ROOMS[own])
            wrong[name] = {other for other in module.ours if room(other) not in allowed}
    assert {name: others for name, others in wrong.items() if others} == {}


def test_imports_go_round_in_no_circle():
    graph = {name: module.ours - {name} for name, module in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(("folder", "allowed"), LIGHT.items())
def test_a_light_folder_keeps_to_its_distributions(folder: str, allowed: set[str]):
    used = {name: MODULES[name].distributions for name in MODULES if room(name) == folder}
    assert {name: extra for name, found in used.items() if (extra := found - allowed)} == {}


def test_what_a_module_imports_is_declared_in_pyproject():
    wrong = {}
    for name, module in MODULES.items():
        own = EXTRAS.get(room(name), ())
        wrong[name] = module.distributions - imports.declared("train", *own)
        if name in GROUPS:
            wrong[name] -= imports.grouped(GROUPS[name])
    assert {name: undeclared for name, undeclared in wrong.items() if undeclared} == {}


def device_modules() -> list[str]:
    return [name for name in MODULES if name.startswith(ON_A_DEVICE)]


def test_what_a_device_needs_is_in_the_plain_installation():
    needed = imports.closure(MODULES, *device_modules())
    used = frozenset().union(*(MODULES[name].distributions for name in needed))
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
    used = frozenset().union(*(MODULES[name].distributions for name in needed))
    assert used <= imports.declared("device")
    assert "ai-edge-litert" in used
    assert {room(name) for name in needed} == {"adapters", "adapters.runtime", "adapters.store"}


def test_a_package_imports_nothing_heavy():
    packages = [module for module in MODULES.values() if module.is_package]
    assert {module.name for module in packages if module.distributions} == set()
    assert {name for module in packages for name in module.ours} == {"adapters"}


def test_the_launcher_needs_the_standard_library_alone():
    module = MODULES["launch.environment"]
    assert not module.ours
    assert not module.distributions
