"""`import adapters`: light, complete, and what each name gives is what its module holds."""

import ast
import subprocess
import sys

import pytest

import adapters
from adapters.patches.registry import PATCHES
from tests.imports import ROOT


def ran(code: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ended.stdout


def test_the_package_alone_loads_nothing_but_the_standard_library():
    code = "import sys; before = set(sys.modules); import adapters; print(*{*sys.modules} - before)"
    loaded = {name.partition(".")[0] for name in ran(code).split()}
    assert loaded - sys.stdlib_module_names == {"adapters"}


def test_a_patch_s_constructor_loads_no_tasks():
    code = "import adapters, sys; adapters.bias; print(*({'tasks', 'jax'} & sys.modules.keys()))"
    assert ran(code).split() == ["jax"]


def test_a_device_s_names_load_no_jax():
    code = "import adapters, sys; adapters.Device; print('jax' in sys.modules)"
    assert ran(code).split() == ["False"]


def test_every_public_name_is_there():
    for name in adapters.__all__:
        found = getattr(adapters, name)
        assert found.__name__ == name
    assert set(adapters.__all__) <= set(dir(adapters))
    assert PATCHES.keys() <= set(adapters.__all__)
    assert all(getattr(adapters, name) is made for name, made in PATCHES.items())
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        adapters.fitt  # noqa: B018


def test_editors_see_the_names_that_are_loaded():
    tree = ast.parse((ROOT / "adapters" / "__init__.py").read_bytes())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    shown = {(alias.name, node.module) for node in block.body for alias in node.names}
    assert shown == set(adapters._HOMES.items())
    assert all(node.names[0].asname == node.names[0].name for node in block.body)
