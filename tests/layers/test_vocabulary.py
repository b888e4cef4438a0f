"""The words of `adapters.vocabulary` against what layers compute."""

import haiku as hk
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.errors import UnknownNameError
from adapters.layers.adapter import Across
from adapters.layers.depthwise import Depthwise
from adapters.layers.norm import Normalise
from adapters.layers.pointwise import Pointwise
from adapters.vocabulary import BYPASS, IDENTITY, NORM_MODES, OPEN, OPTIONAL

INPUTS, OUTPUTS, RANK, BASES = 6, 5, 3, 2
X = np.random.default_rng(0).standard_normal((5, 5, INPUTS), np.float32)
# Every leaf that a layer knows: beside the kernel of a 1x1 convolution that ends a block, and
# beside that of a depthwise layer, which takes no path of low rank. Blocks read `open`, not layers.
SHAPES = {
    "pointwise": {
        "scale": (OUTPUTS,),
        "offset": (OUTPUTS,),
        "side_down": (INPUTS, RANK),
        "side_up": (RANK, OUTPUTS),
        "adapter": (INPUTS, OUTPUTS),
        "adapter_down": (INPUTS, RANK),
        "adapter_kernel": (3, 3, 1, RANK),
        "adapter_up": (RANK, OUTPUTS),
        "bases": (BASES, INPUTS, OUTPUTS),
        "mix": (BASES,),
    },
    "depthwise": {
        "scale": (INPUTS,),
        "offset": (INPUTS,),
        "adapter": (INPUTS, INPUTS),
        "adapter_down": (INPUTS, RANK),
        "adapter_kernel": (3, 3, 1, RANK),
        "adapter_up": (RANK, INPUTS),
        "bases": (BASES, 3, 3, 1, INPUTS),
        "mix": (BASES,),
    },
}
KERNELS = {"pointwise": (INPUTS, OUTPUTS), "depthwise": (3, 3, 1, INPUTS)}

every_layer = pytest.mark.parametrize("layer", SHAPES)


def output(layer, leaves):
    """What the layer makes of X under a norm that changes nothing."""

    def network(x):
        how = Normalise(1e-3, "folded")
        if layer == "depthwise":
            return Depthwise(3, 1, "same", name="layer")(x, how)
        across = Across(x, 3, 1, 1, "same")
        return Pointwise(OUTPUTS, name="layer")(x, how, across=across)

    channels = KERNELS[layer][-1]
    norm = {"scale": jnp.ones(channels), "offset": jnp.zeros(channels)}
    applied = hk.without_apply_rng(hk.transform(network)).apply
    return np.asarray(applied({"layer": leaves, "layer/norm": norm}, jnp.asarray(X)))


def drawn(layer, seed=1):
    generator = np.random.default_rng(seed)
    shapes = {"w": KERNELS[layer], **SHAPES[layer]}
    return {name: generator.standard_normal(s, np.float32) for name, s in shapes.items()}


def test_the_tables_here_have_every_leaf():
    here = {name for shapes in SHAPES.values() for name in shapes}
    assert here | {OPEN, BYPASS} == OPTIONAL.keys()


@every_layer
def test_every_leaf_has_an_effect_and_none_at_its_identity(layer):
    leaves = drawn(layer)
    whole = output(layer, leaves)
    for name in SHAPES[layer]:
        fewer = {other: leaf for other, leaf in leaves.items() if other != name}
        assert not np.allclose(output(layer, fewer), whole)
        if name in IDENTITY:
            at_identity = {**leaves, name: np.full_like(leaves[name], IDENTITY[name])}
            np.testing.assert_array_equal(output(layer, at_identity), output(layer, fewer))


@every_layer
def test_a_factor_of_the_outputs_goes_into_the_leaves_that_are_outward(layer):
    leaves = drawn(layer)
    factor = np.random.default_rng(2).uniform(0.5, 2, KERNELS[layer][-1]).astype(np.float32)
    scaled = {
        name: leaf * factor if name in ("w", "offset") or OPTIONAL[name].outward else leaf
        for name, leaf in leaves.items()
    }
    np.testing.assert_allclose(
        output(layer, scaled), output(layer, leaves) * factor, rtol=1e-4, atol=1e-4
    )


@every_layer
def test_a_path_is_nothing_without_the_leaf_that_it_needs(layer):
    leaves = drawn(layer)
    for name in SHAPES[layer]:
        needed = OPTIONAL[name].needs
        if needed and needed in leaves:
            alone = {"w": leaves["w"], name: leaves[name]}
            np.testing.assert_array_equal(output(layer, alone), output(layer, {"w": leaves["w"]}))


@pytest.mark.parametrize("mode", [*NORM_MODES, "folded"])
def test_norms_have_the_modes(mode):
    assert Normalise(1e-3, mode).mode == mode


def test_norms_have_no_other_mode():
    with pytest.raises(UnknownNameError, match="frozen"):
        Normalise(1e-3, "frosen")


def test_leaves_of_files_have_the_rank_that_layers_read():
    for shapes in SHAPES.values():
        for name, shape in shapes.items():
            if OPTIONAL[name].inserted:
                assert len(shape) == OPTIONAL[name].rank
