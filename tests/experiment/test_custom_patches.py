"""Patches made in Python: with a spec what a command trains, without one all that a file can do."""

import jax.numpy as jnp
import numpy as np
import pytest

import adapters
from adapters.errors import ModelPatchError
from adapters.inference.first_look import PatchNeededError, without_look
from adapters.patches.contract import Prepared
from adapters.patches.naming import named
from adapters.patches.replacement import with_leaves
from adapters.patches.settings import PatchSettingError
from adapters.store.errors import ParityError
from adapters.store.read import read_patch
from adapters.training.checkpoint import ConfigurationMismatchError
from tests import narrow
from tests.experiment.test_fit import FEW


def late_offsets(rate: float = 1.0, from_block: str = "block_03") -> adapters.Patch:
    """Each task owns the offsets of the norms of late layers: a family that is not ours."""

    def init(key, weights):
        return adapters.PatchParams(
            {
                path: {"offset": leaves["offset"]}
                for path, leaves in weights.items()
                if path.endswith("norm") and path >= from_block
            }
        )

    def apply(weights, params, context):
        return with_leaves(weights, params.trained)

    return adapters.Patch(
        init=init,
        apply=apply,
        pack=lambda params: {"replace": params.trained},
        rates=lambda weights, params, context: rate,
    )


def brightened() -> adapters.Patch:
    """Looks at an image first: the brighter it is, the more its stem's offsets are raised."""

    def prepare(weights, inputs, context):
        offset = weights["stem/norm"]["offset"]
        raised = offset + 1 + jnp.mean(inputs["image"]).astype(offset.dtype)
        return Prepared({"stem/norm": {"offset": raised}}, {}, {})

    return late_offsets()._replace(prepare=prepare)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pictures):
    """(what was fitted with a patch that no spec names, its folder)."""
    out = tmp_path_factory.mktemp("runs") / "out"
    return adapters.fit(pictures, patch=late_offsets(), directory=out, **FEW), out


def test_a_patch_with_a_spec_trains_as_its_spec_does(pictures, tmp_path):
    patch = adapters.chain(adapters.scale_bias(), adapters.lora(rank=2))
    spec = "scale_bias+lora(rank=2, alpha=none)"
    assert patch.spec == spec
    for name, one in (("object", patch), ("text", spec)):
        adapters.fit(pictures, patch=one, directory=tmp_path / name, **FEW)
    files = [(tmp_path / name / "arrays.patch").read_bytes() for name in ("object", "text")]
    assert files[0] == files[1]


def test_a_named_patch_from_elsewhere_is_itself(pictures, tmp_path):
    """Even under the name of one of ours, which its spec would make of it."""

    @named
    def bias() -> adapters.Patch:
        return late_offsets()

    assert bias().spec == adapters.chain(bias(), adapters.depthwise()).spec == ""
    made = adapters.fit(pictures, patch=bias(), **FEW)
    assert made["arrays"].card.patch == "custom"
    assert min(made["arrays"].card.edits["replace"]) >= "block_03"


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        (adapters.scale_bias, r"scale_bias is a function, no Patch; call it: scale_bias\(\)"),
        (None, "None is a NoneType, no Patch"),
        (["scale_bias"], "is a list, no Patch"),
    ],
)
def test_what_is_no_patch_is_refused(pictures, patch, said):
    with pytest.raises(PatchSettingError, match=said):
        adapters.fit(pictures, patch=patch, **FEW)
    with pytest.raises(PatchSettingError, match=said):
        adapters.chain(patch, adapters.bias())


def test_a_hand_written_patch_trains_saves_loads_predicts_and_evaluates(finished, pictures):
    made, out = finished
    contents = read_patch(out / "arrays.patch")
    assert contents.patch == "custom"
    assert min(contents.edits["replace"]) >= "block_03"
    assert {leaf for own in contents.edits["replace"].values() for leaf in own} == {"offset"}
    loaded = adapters.load(out / "arrays.patch")
    assert loaded.predict(pictures[0]).labels == made["arrays"].predict(pictures[0]).labels
    found = loaded.evaluate(adapters.Task.from_arrays(*pictures))
    assert found.score == found.saved


def test_norm_statistics_ship_with_a_hand_written_patch(pictures):
    """And at a rate of zero, leaves that are its own stay the backbone's."""
    made = adapters.fit(pictures, patch=late_offsets(0.0), norm="ema", **FEW)
    edits = read_patch(made.directory / "arrays.patch").edits["replace"]
    assert {leaf for own in edits.values() for leaf in own} == {"offset", "mean", "var"}
    same = narrow.weights()["block_03/project/norm"]
    assert np.array_equal(edits["block_03/project/norm"]["offset"], same["offset"])
    assert not np.array_equal(edits["block_03/project/norm"]["mean"], same["mean"])
    assert made["arrays"].evaluate(adapters.Task.from_arrays(*pictures)).saved is not None


def test_a_hand_written_patch_learns(finished):
    edits = read_patch(finished[1] / "arrays.patch").edits["replace"]["block_03/project/norm"]
    assert not np.array_equal(edits["offset"], narrow.weights()["block_03/project/norm"]["offset"])


def test_a_patch_that_looks_is_loaded_with_its_code_alone(pictures, tmp_path):
    patch = brightened()
    made = adapters.fit(pictures, patch=patch, directory=tmp_path / "out", **FEW)
    path = tmp_path / "out" / "arrays.patch"
    assert read_patch(path).patch == "custom_look"
    with pytest.raises(PatchNeededError, match=r"adapters\.load\(path, patch="):
        adapters.load(path)
    with pytest.raises(PatchNeededError):
        without_look(read_patch(path))
    with pytest.raises(ParityError):
        adapters.load(path, patch=late_offsets())
    loaded = adapters.load(path, patch=patch)
    first, again = made["arrays"].predict(pictures[0]), loaded.predict(pictures[0])
    assert again.labels == first.labels
    found = adapters.evaluate(path, task=adapters.Task.from_arrays(*pictures), patch=patch)
    assert found.score == found.saved == made.rows[0].test_accuracy


def test_a_run_is_not_resumed_with_a_patch_of_other_parameters(finished, pictures, tmp_path):
    finished[0].save(tmp_path / "out")
    again = {"directory": tmp_path / "out", "resume": True, **FEW}
    with pytest.raises(ConfigurationMismatchError, match="parameters was"):
        adapters.fit(pictures, patch=late_offsets(from_block="tail"), **again)
    with pytest.raises(ConfigurationMismatchError, match="patch was 'custom', is now 'bias'"):
        adapters.fit(pictures, patch="bias", **again)


def test_what_no_file_can_hold_is_refused_before_training(pictures, tmp_path):
    odd = late_offsets()._replace(pack=lambda params: {"replace": {"nowhere": {"w": jnp.ones(2)}}})
    with pytest.raises(ModelPatchError, match="nowhere"):
        adapters.fit(pictures, patch=odd, directory=tmp_path / "out", **FEW)
    assert not (tmp_path / "out").exists()


def test_a_changed_copy_has_no_spec():
    patch = adapters.scale_bias()
    assert patch.spec == "scale_bias"
    assert patch._replace(penalty=lambda params, context: jnp.ones(())).spec == ""
    assert adapters.select(lambda path, name, leaf: True, patch).spec == ""
    assert adapters.chain(patch, late_offsets()).spec == ""
    assert adapters.spotpatch(late_offsets()).spec == ""
    assert adapters.chain(patch, adapters.scale_bias()).spec == ""
