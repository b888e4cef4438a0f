"""Commands under test know the narrow backbone by name; no other test does."""

import pytest

from adapters.backbones import registry
from adapters.experiment import training_run
from tests import narrow
from tests.cheap_runs import cheap_runs
from tests.launch import small
from tests.launch.made_tasks import SQUARES


@pytest.fixture(scope="package", autouse=True)
def _the_narrow_backbone_by_name():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
        yield


@pytest.fixture(scope="package", autouse=True)
def _cheap_runs():
    """What a run computes is held elsewhere, of programs as shipped; here, what becomes of it."""
    with cheap_runs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "CHECKPOINTS_A_RUN", 3)
        yield


@pytest.fixture(scope="package")
def squares_weights(tmp_path_factory):
    return small.write_backbone(tmp_path_factory.mktemp("weights") / "narrow.safetensors")


@pytest.fixture(scope="package")
def squares_run(squares_weights, tmp_path_factory):
    """(folder, rows) of a run of a detector."""
    out = tmp_path_factory.mktemp("runs") / "squares"
    recipe = {"steps": 120, "head_rate": 3e-2}
    settings = small.settings(squares_weights, recipe=recipe, validations=0)
    return out, training_run.run([SQUARES], settings, out, "a test")
