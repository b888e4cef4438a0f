"""`launch/bases`: what tasks changed of kernels becomes bases, from which one gets them back."""

import jax
import numpy as np
import pytest

from adapters.experiment import backbones
from adapters.patches.coefficients import coefficients
from adapters.store.edits import apply_edits
from tests import commands
from tests.device import exported
from tests.launch import small
from tests.patches.table import PLAIN

FULL, BIAS = (
    next(entry for entry in PLAIN if entry.name.startswith(name)) for name in ("full", "bias")
)


def called(*arguments):
    return commands.run("tests.launch.small_bases", *arguments)


@pytest.fixture
def backbone(tmp_path):
    return small.write_backbone(tmp_path / "narrow.safetensors")


def patches(folder, entry):
    made = [exported.contents(f"task_{seed}", entry, seed=seed) for seed in (2, 5)]
    return made, [exported.patch_file(folder, contents) for contents in made]


def test_a_coefficient_of_one_is_that_tasks_kernel(backbone, tmp_path):
    made, paths = patches(tmp_path, FULL)
    out = tmp_path / "bases.safetensors"
    ended = called(*paths, f"--weights={backbone}", "--kernels=both", f"--out={out}")
    assert ended.returncode == 0, ended.stderr
    assert "coefficients(bases=2, blocks=3, kernels=both, tail=false)" in ended.stdout
    weights = backbones.load("narrow", str(out)).weights
    patch = coefficients(bases=2, kernels="both")
    assert jax.tree.all(
        jax.tree.map(np.array_equal, patch.extend(jax.random.key(0), weights), weights)
    )
    params = patch.init(jax.random.key(0), weights)
    for number, contents in enumerate(made):
        wanted = apply_edits(exported.weights(), contents.edits)
        one = {path: np.eye(2, dtype=np.float32)[number] for path in params.trained}
        mixed = patch.apply(weights, params._replace(trained=one), {})
        assert len(one) == 8
        for path in one:
            np.testing.assert_allclose(mixed[path]["w"], wanted[path]["w"], rtol=1e-5, atol=1e-6)


def test_patches_that_change_no_kernel_are_refused(backbone, tmp_path):
    _, paths = patches(tmp_path, BIAS)
    out = tmp_path / "bases.safetensors"
    ended = called(*paths, f"--weights={backbone}", f"--out={out}")
    assert ended.returncode == 2
    assert "task_2.patch changes none of the 5 kernels" in ended.stderr
    assert not out.exists()
