"""docs/device.md: its five commands and its Python, as they are printed."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests import imports, narrow
from tests.device import exported
from tests.launch import small

PAGE = (imports.ROOT / "docs" / "device.md").read_text().partition("\nA task that finds objects")[0]
OURS = "--backbone=mobilenet_v2 --sizes=64"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture
def run(tmp_path):
    """Runs a module of this repository; with `device`, where JAX cannot be imported."""
    (tmp_path / "device_only").mkdir()
    (tmp_path / "device_only" / "jax.py").write_text("raise ImportError('no JAX here')\n")

    def call(module, arguments, device=False):
        path = f"{tmp_path / 'device_only'}{os.pathsep}" if device else ""
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{path}{imports.ROOT}"},
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_from_a_trained_patch_to_an_answer(run, tmp_path, monkeypatch, capsys):
    made, image = exported.contents("digits", classes=5), exported.png(1)
    (tmp_path / "out").mkdir()
    exported.patch_file(tmp_path / "out", made)
    (tmp_path / "three.png").write_bytes(image)
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    maker, device = (block.splitlines() for block in blocks("sh"))
    assert len(maker) + len(device) == 5

    (small_export,) = (line for line in maker if OURS in line)
    narrow_flags = f"--backbone=narrow --weights={weights} --sizes={narrow.SIZE} --batches=1"
    for line in maker:
        verb, *arguments = shlex.split(line.replace(OURS, narrow_flags))
        module = verb.replace("/", ".")
        run("tests.launch.small_export" if line == small_export else module, arguments)
    for line in device:
        python, flag, module, *arguments = shlex.split(line)
        assert (python, flag) == ("python", "-m")
        said = run(module, arguments, device=True)

    expected = exported.wanted(made, image)
    label = max(expected, key=expected.get)
    name, answer, probability = re.fullmatch(r"(\S+): (\S+) \((.*)%\)\n", said).groups()
    assert (name, answer) == ("three.png", label)
    assert float(probability) == pytest.approx(100 * expected[label], abs=0.06)
    assert re.search(r"^```\nthree\.png: \S+ \([\d.]+%\)\n```", PAGE, re.M)

    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(code, {})
    assert capsys.readouterr().out == f"{label}\n"
