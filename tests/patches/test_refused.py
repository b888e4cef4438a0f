"""Combinations of patches that would train one network and ship another."""

import jax
import pytest

from adapters.patches.merge import UnmergeableEditsError
from adapters.patches.registry import from_spec
from adapters.patches.settings import PatchSettingError
from tests import narrow


@pytest.mark.parametrize(
    "spec", ["spotpatch(scale_bias)", "last(bias, layers=2)", "random_gates(bias, budget_bits=9)"]
)
def test_layers_that_stay_the_backbones_have_no_batch_moments(spec):
    with pytest.raises(PatchSettingError, match="train it with norm frozen, calibrated or ema"):
        from_spec(spec, "batch")
    from_spec(spec, "ema")


@pytest.mark.parametrize(
    "spec", ["lora(rank=2)+last(lora(rank=4), layers=3)", "lora(rank=2)+spotpatch(lora(rank=4))"]
)
def test_two_paths_of_low_rank_beside_one_kernel(spec):
    with pytest.raises(UnmergeableEditsError, match="has a path of low rank already"):
        from_spec(spec).init(jax.random.key(0), narrow.weights())


@pytest.mark.parametrize("spec", ["spotpatch(head_only)", "random_gates(head_only, budget_bits=9)"])
def test_gates_round_nothing(spec):
    with pytest.raises(PatchSettingError, match="nothing to gate"):
        from_spec(spec).init(jax.random.key(0), narrow.weights())


def test_last_round_gates():
    with pytest.raises(PatchSettingError, match="inside gates, not round them"):
        from_spec("last(spotpatch(bias), layers=2)").init(jax.random.key(0), narrow.weights())


def test_a_budget_beyond_all_bits_opens_every_gate():
    patch = from_spec("random_gates(bias, budget_bits=300000000000)")
    params = patch.init(jax.random.key(0), narrow.weights())
    bits = 32 * sum(leaves["offset"].size for leaves in params.trained.values())
    assert sum(int(count) for count in patch.cost(params).values()) == bits


def test_full_owns_no_leaf_that_an_earlier_patch_added():
    patch = from_spec("lora(rank=2)+film+full")
    params = patch.init(jax.random.key(0), narrow.weights())
    names = {name for leaves in params.trained[2].values() for name in leaves}
    assert names == {"w", "b", "scale", "offset"}
    assert "scale" not in params.trained[2]["stem"]
