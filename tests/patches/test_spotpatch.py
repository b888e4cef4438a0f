"""Gates: what a closed one leaves alone, what an open one costs, and how both learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.patches.registry import from_spec
from adapters.patches.settings import PatchSettingError
from adapters.patches.spotpatch import THRESHOLD, spotpatch
from adapters.training import packing
from tests import narrow

INNER = from_spec("mask+lora(rank=2)+scale_bias", "ema")
PATCH = spotpatch(INNER)
CLOSED = "block_01/project"


def params_with(patch, **scores):
    """Params whose inner ones all differ from the start, with the given scores."""
    made = narrow.disturbed(patch.init(jax.random.key(0), narrow.weights()), seed=3)
    known = {name: jnp.asarray(0.2) for name in made.trained["scores"]}
    assert scores.keys() <= known.keys()
    given = {name: jnp.asarray(score) for name, score in scores.items()}
    return made._replace(trained=made.trained | {"scores": known | given})


def test_a_closed_layer_is_the_bases_to_the_bit_with_its_norm_and_statistics():
    params = params_with(PATCH, **{CLOSED: 0.05})
    inner = params._replace(trained=params.trained["inner"])
    gated = PATCH.apply(narrow.weights(), params, {})
    patched = INNER.apply(narrow.weights(), inner, {})
    for path, leaves in patched.items():
        for name, leaf in leaves.items():
            if path.removesuffix("/norm") != CLOSED:
                expected = leaf
            else:
                # The way back into the layer is shut; what leads to it has no effect.
                base = narrow.weights()[path].get(name)
                expected = {"side_down": leaf, "side_up": jnp.zeros_like(leaf)}.get(name, base)
            np.testing.assert_array_equal(gated[path][name], expected, err_msg=f"{path}/{name}")
    edits = PATCH.pack(params)
    assert {kind: CLOSED in paths for kind, paths in edits.items()} == dict.fromkeys(edits, False)
    assert f"{CLOSED}/norm" not in edits["replace"]
    open_edits = PATCH.pack(params_with(PATCH))
    assert len(open_edits["replace"]) == len(edits["replace"]) + 1


def sizes_by_hand(params):
    """{layer: bytes of its edits as numpy holds them}, all gates open."""
    sizes = dict.fromkeys(params.trained["scores"], 0)
    opened = params.trained | {"scores": {name: jnp.asarray(1.0) for name in sizes}}
    for modules in packing.task_edits(PATCH, params._replace(trained=opened)).values():
        for path, leaves in modules.items():
            sizes[path.removesuffix("/norm")] += sum(leaf.nbytes for leaf in leaves.values())
    return sizes


def test_the_size_term_is_the_share_of_stored_bits_behind_open_gates():
    closed = {CLOSED: 0.1, "stem": -3.0}
    params = params_with(PATCH, **closed)
    sizes = sizes_by_hand(params)
    share = 1 - sum(sizes[name] for name in closed) / sum(sizes.values())
    context = {"progress": jnp.asarray(0.5)}
    for weight in (1.0, 2.5):
        found = spotpatch(INNER, weight=weight).penalty(params, context)
        np.testing.assert_allclose(found, weight * share, rtol=1e-6)
    assert PATCH.penalty(params, {"progress": jnp.asarray(0.05)}) == 0
    budget = int(8 * sum(sizes.values()) * share)
    for bits, excess in ((budget + 8, 0.0), (0, share)):
        found = spotpatch(INNER, budget_bits=bits).penalty(params, context)
        np.testing.assert_allclose(found, excess, atol=1e-6)
    counted = spotpatch(INNER, price="count").penalty(params, context)
    np.testing.assert_allclose(counted, 1 - 2 / len(sizes), rtol=1e-6)
    stored = sum(int(bits) for bits in PATCH.cost(params).values())
    assert stored == 8 * sum(size for name, size in sizes.items() if name not in closed)


def test_the_size_term_pushes_a_gate_by_its_layers_price_and_stops_below_zero():
    params = params_with(PATCH, **{CLOSED: 0.05, "stem": -0.05})
    sizes = sizes_by_hand(params)

    def term(scores):
        moved = params._replace(trained=params.trained | {"scores": scores})
        return PATCH.penalty(moved, {"progress": jnp.asarray(0.5)})

    gradients = jax.grad(term)(params.trained["scores"])
    for name, gradient in gradients.items():
        expected = 0 if name == "stem" else sizes[name] / sum(sizes.values())
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("score", [0.05, 0.2])
def test_a_gates_gradient_is_what_opening_it_would_change_to_first_order(score):
    patch = spotpatch(from_spec("scale_bias"))
    params = params_with(patch, **{CLOSED: score})
    inner = from_spec("scale_bias").apply(
        narrow.weights(), params._replace(trained=params.trained["inner"]), {}
    )
    images = narrow.normalised(narrow.images(1, 2)[0][0])

    def loss(weights):
        return jnp.sum(jnp.sin(jax.vmap(narrow.BACKBONE.apply, (None, 0))(weights, images)[0]))

    def of_scores(scores):
        moved = params._replace(trained=params.trained | {"scores": scores})
        return loss(patch.apply(narrow.weights(), moved, {}))

    found = jax.jit(jax.grad(of_scores))(params.trained["scores"])[CLOSED]
    of_weights = jax.jit(jax.grad(loss))(patch.apply(narrow.weights(), params, {}))
    norm = f"{CLOSED}/norm"
    by_hand = sum(
        np.sum(
            np.asarray(of_weights[norm][name]) * (inner[norm][name] - narrow.weights()[norm][name])
        )
        for name in ("scale", "offset")
    )
    np.testing.assert_allclose(found, by_hand, rtol=1e-4)


def test_a_closed_gate_before_a_path_of_two_products_still_learns_what_it_would_do():
    patch = spotpatch(from_spec("lora(rank=2)"))
    params = params_with(patch, **{CLOSED: 0.05})
    images = narrow.normalised(narrow.images(1, 2)[0][0])

    def loss(share, scores):
        """With `share` of the closed layer's path let through."""
        moved = params._replace(trained=params.trained | {"scores": scores})
        weights = patch.apply(narrow.weights(), moved, {})
        leaves = weights[CLOSED] | {
            name: leaf * factor
            for (name, leaf), factor in zip(
                params.trained["inner"][CLOSED].items(), (1.0, share), strict=True
            )
        }
        leaves["side_up"] = leaves["side_up"] + weights[CLOSED]["side_up"]
        weights = {**weights, CLOSED: leaves}
        return jnp.sum(jnp.sin(jax.vmap(narrow.BACKBONE.apply, (None, 0))(weights, images)[0]))

    of_share, of_scores = jax.jit(jax.grad(loss, (0, 1)))(0.0, params.trained["scores"])
    assert abs(of_share) > 1e-3
    np.testing.assert_allclose(of_scores[CLOSED], of_share, rtol=1e-4)


def test_gates_stay_as_they_are_in_the_last_third():
    params = PATCH.init(jax.random.key(0), narrow.weights())
    for progress, factor in ((0.0, 1.0), (0.6, 1.0), (0.67, 0.0), (0.99, 0.0)):
        rates = PATCH.rates(narrow.weights(), params, {"progress": jnp.asarray(progress)})
        assert {float(rate) for rate in rates["scores"].values()} == {factor}


def test_blocks_have_one_gate_each():
    params = spotpatch(INNER, per="block").init(jax.random.key(0), narrow.weights())
    names = {path.split("/")[0] for path in narrow.weights()}
    assert params.trained["scores"].keys() == names
    assert all(score > THRESHOLD for score in params.trained["scores"].values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": -1.0}, "weight=-1.0 must be 0 or more"),
        ({"per": "net"}, "per=net must be one of layer, block"),
        ({"warmup": 0.7}, "freeze=0.66.* must be above warmup"),
        ({"price": "count", "budget_bits": 8}, "price=count has no budget_bits"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(PatchSettingError, match=message):
        spotpatch(INNER, **settings)
