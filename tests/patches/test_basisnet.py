"""BasisNet: what it adds, how it mixes, and what it refuses."""

import functools
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.analysis.counting import multiply_adds
from adapters.backbones import registry
from adapters.backbones.builder import build
from adapters.patches.bases import with_bases
from adapters.patches.basisnet import basisnet
from adapters.patches.coefficients import coefficients
from adapters.patches.registry import from_spec, with_defaults
from adapters.patches.replacement import with_leaves
from adapters.patches.settings import PatchSettingError
from tests import narrow

LAYERS = ("block_01/project", "block_02/expand", "block_02/project", "block_03/expand")


def known(**settings):
    with mock.patch.dict(registry.TABLES, narrow=lambda: narrow.TABLE):
        return basisnet(**{"preview": "narrow", "preview_size": 16, **settings})


@functools.cache
def image():
    return narrow.normalised(narrow.images(1, 1)[0][0, 0])


def mixtures(patch, weights, context):
    seen = patch.prepare(weights, {"image": image()}, {"backbone": narrow.BACKBONE, **context})
    return np.asarray([leaves["mix"] for _, leaves in sorted(seen.leaves.items())])


def test_bases_are_added_to_the_last_blocks_and_average_to_the_kernel():
    weights = known(blocks=2).extend(jax.random.key(0), narrow.weights())
    found = {path for path, leaves in weights.items() if "bases" in leaves}
    assert found == {
        *("block_02/expand", "block_02/project", "block_03/expand", "block_03/project"),
    }
    for path in found:
        w, bases = np.asarray(weights[path]["w"]), np.asarray(weights[path]["bases"])
        assert bases.shape == (4, *w.shape)
        np.testing.assert_allclose(bases.sum(axis=0), 0, atol=1e-6)
        sizes = np.sqrt(np.square(bases).mean()) / np.sqrt(np.square(w).mean())
        assert 0.05 < sizes < 0.15
        assert len({base.tobytes() for base in bases}) == 4
    for path, leaves in narrow.weights().items():
        assert all(np.array_equal(leaf, weights[path][name]) for name, leaf in leaves.items())


def test_the_preview_network_starts_as_the_backbone_where_it_is_the_same_one():
    same = known().extend(jax.random.key(0), narrow.weights())
    assert np.array_equal(same["preview/stem"]["w"], narrow.weights()["stem"]["w"])
    other = basisnet(preview="mobilenet_v2_0.35")
    weights = jax.eval_shape(other.extend, jax.random.key(0), narrow.weights())
    assert weights["preview/block_17/project"]["w"].shape == (336, 112)


def test_a_preview_is_a_copy_where_the_backbone_has_bases_already():
    """From `launch/bases`, or from a run of coefficients."""
    with_some = coefficients(bases=4).extend(jax.random.key(3), narrow.weights())
    weights = known().extend(jax.random.key(0), with_some)
    assert np.array_equal(weights["preview/stem"]["w"], narrow.weights()["stem"]["w"])
    assert "bases" not in weights["preview/block_03/expand"]
    assert np.array_equal(
        weights["block_03/expand"]["bases"], with_some["block_03/expand"]["bases"]
    )


def test_a_preview_has_the_backbones_conventions():
    """Padding and epsilon are no leaves: no shape would tell."""
    backbone = build(narrow.TABLE, "symmetric", 1e-5)
    patch = known()
    weights = patch.extend(jax.random.key(0), narrow.weights())
    small = jax.image.resize(image(), (16, 16, 3), "linear")
    seen = patch.prepare(weights, {"image": image()}, {"backbone": backbone}).auxiliary["preview"]
    wanted = backbone.apply(narrow.weights(), small).features
    np.testing.assert_allclose(seen.features, wanted, rtol=1e-5, atol=1e-6)
    other = narrow.BACKBONE.apply(narrow.weights(), small).features
    assert np.abs(np.asarray(seen.features) - other).max() > 1e-3


def test_a_patch_that_does_not_look_leaves_the_preview_alone():
    weights = known().extend(jax.random.key(0), narrow.weights())
    for spec, norm in (("scale_bias", "frozen"), ("full", "frozen"), ("coefficients", "ema")):
        params = from_spec(spec, norm).init(jax.random.key(0), weights)
        paths = {path for part in params[:2] for path in _modules(part)}
        assert paths
        assert not {path for path in paths if path.startswith("preview/")}
    params = from_spec("scale_bias", "frozen").init(jax.random.key(0), narrow.weights())
    before = from_spec("scale_bias").cost(params)
    with_preview = from_spec("scale_bias").init(jax.random.key(0), weights)
    assert from_spec("scale_bias").cost(with_preview) == before


def _modules(tree):
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        str(key.key) for path, _ in leaves for key in path if "/" in str(getattr(key, "key", ""))
    ]


def test_mixtures_are_a_softmax_of_what_the_preview_sees():
    patch = known(temperature=2.0)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    weights = {**weights, "preview/coefficients": noisy(weights["preview/coefficients"])}
    small = jax.image.resize(image(), (16, 16, 3), "linear")
    features = np.asarray(narrow.BACKBONE.apply(narrow.weights(), small).features)
    layer = weights["preview/coefficients"]
    logits = (features @ np.asarray(layer["w"]) + np.asarray(layer["b"])).reshape(-1, 4) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = mixtures(patch, weights, {})
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.01  # layers differ


def noisy(leaves):
    return narrow.disturbed(leaves, seed=4, size=1.0)


def test_one_row_serves_the_network():
    patch = known(per="network")
    weights = patch.extend(jax.random.key(0), narrow.weights())
    assert weights["preview/coefficients"]["w"].shape == (16, 4)
    found = mixtures(patch, weights, {})
    assert len(found) > 1
    assert len({row.tobytes() for row in found}) == 1


def test_training_starts_from_an_even_mix_that_fades():
    patch = known(anneal=0.5, dropout=0.0)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    weights = {**weights, "preview/coefficients": noisy(weights["preview/coefficients"])}
    own = mixtures(patch, weights, {})
    key = jax.random.key(0)
    for progress, share in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)):
        found = mixtures(patch, weights, {"progress": jnp.asarray(progress), "key": key})
        np.testing.assert_allclose(found, share * own + (1 - share) / 4, rtol=1e-5, atol=1e-6)


def test_dropped_bases_take_no_share_and_never_all_are_dropped():
    patch = known(anneal=0.0, dropout=0.6)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    progress = jnp.ones(())
    look = jax.jit(
        lambda key: (
            patch.prepare(
                weights,
                {"image": image()},
                {"backbone": narrow.BACKBONE, "key": key, "progress": progress},
            ).leaves
        )
    )
    kept = []
    for seed in range(64):
        rows = np.asarray([leaves["mix"] for leaves in look(jax.random.key(seed)).values()])
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
        assert len({tuple(row > 0) for row in rows}) == 1  # the same ones in every layer
        kept.append(int((rows[0] > 0).sum()))
    assert min(kept) >= 1
    assert 1.2 < np.mean(kept) < 2.2  # 4 * 0.4, and all four where none was left


@pytest.mark.parametrize(
    ("made", "then", "match"),
    [
        ({"bases": 4}, {"bases": 2}, "4 bases for"),
        ({"blocks": 1}, {"blocks": 2}, "ask for"),
        ({"per": "layer"}, {"per": "network"}, "coefficients/w"),
    ],
)
def test_weights_made_by_other_settings_are_refused(made, then, match):
    weights = known(**made).extend(jax.random.key(0), narrow.weights())
    with pytest.raises(PatchSettingError, match=match):
        known(**then).extend(jax.random.key(0), weights)
    again = known(**made).extend(jax.random.key(1), weights)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, weights))


def test_weights_that_cannot_look_are_refused():
    with pytest.raises(PatchSettingError, match=r"no preview network.*give the weights of the run"):
        mixtures(known(), narrow.weights(), {})


@pytest.mark.parametrize(
    "settings",
    [
        *({"bases": 0}, {"blocks": 0}, {"kernels": "dense"}, {"per": "block"}),
        *({"preview_size": 0}, {"temperature": 0.0}, {"anneal": 1.5}, {"dropout": 1.0}),
        {"preview_weight": -1.0},
        {"spread": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PatchSettingError, match=next(iter(settings))):
        known(**settings)


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"blocks": 4}, "blocks=4 must be 3 at most"), ({"blocks": 1, "kernels": "depthwise"}, None)],
)
def test_bases_without_a_place_are_refused(settings, match):
    if match is None:  # the last block has one
        known(**settings).extend(jax.random.key(0), narrow.weights())
        return
    with pytest.raises(PatchSettingError, match=match):
        known(**settings).extend(jax.random.key(0), narrow.weights())


# Derived for arXiv 2105.03014: weights of MobileNetV3-Large's convolutions from a bottleneck on to
# the last before pooling, and the multiply-adds of mixing eight of each, in millions.
MIXING = {1: (1.43, 11.5), 8: (1.36, 10.9), 12: (1.17, 9.4), 14: (0.82, 6.5), 15: (0.48, 3.9)}


@pytest.mark.parametrize("first", MIXING)
def test_mixing_costs_what_the_sheet_says(first):
    """Of eight kernels: the backbone's own and seven bases."""
    backbone = build(registry.table("mobilenet_v3_large_1.0"))
    weights = jax.eval_shape(backbone.init, jax.random.key(0))
    extended = jax.eval_shape(
        functools.partial(
            with_bases, bases=7, blocks=16 - first, kernels="both", tail=True, spread=0.1
        ),
        jax.random.key(0),
        weights,
    )
    kernels = {p: leaves["w"] for p, leaves in extended.items() if "bases" in leaves}
    values = sum(kernel.size for kernel in kernels.values())
    mixes = {p: {"mix": jax.ShapeDtypeStruct((7,), jnp.float32)} for p in kernels}
    picture = jax.ShapeDtypeStruct((224, 224, 3), jnp.float32)

    def cost(leaves):
        def run(weights, leaves, picture):
            return backbone.apply(with_leaves(weights, leaves), picture).features

        program = jax.make_jaxpr(run)(extended, leaves, picture)
        return sum(map(multiply_adds, program.jaxpr.eqns))

    extra = cost(mixes) - cost({})
    assert extra == 8 * values
    weights_in_millions, extra_in_millions = MIXING[first]
    assert values / 1e6 == pytest.approx(weights_in_millions, abs=0.006)
    assert extra / 1e6 == pytest.approx(extra_in_millions, abs=0.06)


def test_coefficients_of_a_task_are_a_kernel_mixed_once():
    patch = coefficients(blocks=2)
    weights = patch.extend(jax.random.key(0), narrow.weights())
    params = patch.init(jax.random.key(0), weights)
    trained = narrow.disturbed(params.trained, seed=5, size=1.0)
    mixed = patch.apply(weights, params._replace(trained=trained), {})
    mixes = {path: {"mix": mix} for path, mix in trained.items()}
    by_layers = narrow.BACKBONE.apply(with_leaves(weights, mixes), image()).features
    np.testing.assert_allclose(
        narrow.BACKBONE.apply(mixed, image()).features, by_layers, rtol=1e-5, atol=1e-5
    )


def test_a_spec_with_its_defaults_means_the_same():
    spec = with_defaults("basisnet(preview=mobilenet_v2_1.0)+spotpatch(scale_bias, weight=2)")
    assert "bases=4, blocks=3, kernels=pointwise, tail=false" in spec
    assert "spotpatch(scale_bias, weight=2, budget_bits=none" in spec
    assert with_defaults(spec) == spec
    from_spec(spec)
