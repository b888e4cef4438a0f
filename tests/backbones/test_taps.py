"""The maps that a head may read, each against what the layers give one by one."""

import jax
import numpy as np
import pytest

from adapters.backbones.taps import tap
from adapters.errors import UnknownNameError
from tests import narrow

ACTIVATIONS = {"relu": (0, np.inf), "relu6": (0, 6)}


@pytest.fixture(scope="module")
def outputs():
    image = narrow.normalised(narrow.images(1, 1)[0])[0, 0]
    return jax.jit(narrow.BACKBONE.apply)(narrow.weights(), image)


def found(outputs, name):
    return np.asarray(tap(narrow.TABLE, outputs, name))


def expansions():
    return [
        name
        for name, row in narrow.TABLE.named_rows()
        if any(p.name == "expand" for p in row.parts)
    ]


def test_features_are_the_mean_of_the_last_map(outputs):
    *_, last = (name for name, _ in narrow.TABLE.named_rows())
    np.testing.assert_allclose(
        found(outputs, "features"), found(outputs, last).mean((0, 1)), rtol=1e-5, atol=1e-6
    )


def test_a_stride_is_the_last_block_of_that_resolution(outputs):
    sides = {
        name: narrow.SIZE // len(found(outputs, name)) for name, _ in narrow.TABLE.named_rows()
    }
    for stride in set(sides.values()) - {1}:
        *_, last = (name for name, side in sides.items() if side == stride)
        np.testing.assert_array_equal(found(outputs, f"stride_{stride}"), found(outputs, last))


def test_an_expansion_is_a_matrix_a_norm_and_an_activation_of_the_block_before(outputs):
    rows = dict(narrow.TABLE.named_rows())
    names = list(rows)
    assert expansions()
    for name in expansions():
        before = found(outputs, names[names.index(name) - 1])
        own, norm = (narrow.weights()[f"{name}/expand{part}"] for part in ("", "/norm"))
        kernel = np.asarray(own["w"]).reshape(before.shape[-1], -1)
        scale = np.asarray(norm["scale"]) / np.sqrt(np.asarray(norm["var"]) + narrow.EPSILON)
        wanted = (before @ kernel - np.asarray(norm["mean"])) * scale + np.asarray(norm["offset"])
        wanted = np.clip(wanted, *ACTIVATIONS[rows[name].activation])
        np.testing.assert_allclose(found(outputs, f"{name}/expand"), wanted, rtol=1e-4, atol=1e-5)


def test_blocks_that_are_computed_again_have_the_same_maps(outputs):
    image = narrow.normalised(narrow.images(1, 1)[0])[0, 0]
    again = jax.jit(
        lambda weights, image: narrow.BACKBONE.apply(weights, image, rematerialise=True)
    )
    other = again(narrow.weights(), image)
    assert other.endpoints.keys() == outputs.endpoints.keys()
    for name, each in other.endpoints.items():
        np.testing.assert_allclose(each, outputs.endpoints[name], rtol=1e-5, atol=1e-5)


def test_a_map_that_is_not_there_is_named(outputs):
    with pytest.raises(UnknownNameError, match="stride_3"):
        tap(narrow.TABLE, outputs, "stride_3")
