"""ONNX operations on arrays that all depend on the image, against the same functions in JAX."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.export.onnx import convert
from adapters.export.onnx.session import Session
from adapters.export.onnx.values import UnsupportedOperationError
from adapters.layers.convolution import convolution
from adapters.layers.depthwise_convolution import depthwise

IMAGES = np.random.default_rng(0).standard_normal((3, 9, 7, 4)).astype(np.float32)


@pytest.fixture(scope="module", autouse=True)
def _onnx():
    missing = [name for name in ("onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")


def graph(function, inputs):
    shapes = {name: jax.ShapeDtypeStruct(each.shape, jnp.float32) for name, each in inputs.items()}
    image = jax.ShapeDtypeStruct(IMAGES.shape[1:], jnp.float32)

    def named(image, inputs):
        return {"logits": function(image, inputs)}

    return convert.onnx_graph(named, image, shapes, "images", {}, {})


def check(function, **inputs):
    """Each number of images gives what JAX gives for each image alone."""
    session = Session(graph(function, inputs), 1)
    wanted = np.stack([function(jnp.asarray(image), inputs) for image in IMAGES])
    for count in (1, 3):
        got = session.run({"images": IMAGES[:count], **inputs})
        np.testing.assert_allclose(got, wanted[:count], rtol=1e-5, atol=1e-5)


def test_arrays_are_joined_whatever_they_depend_on():
    constant = np.arange(8, dtype=np.float32).reshape(2, 1, 4)

    def function(image, given):
        rows = given["rows"][:, None, :]  # [3, 1, 4], the same for all images
        same = jnp.broadcast_to(jnp.max(image), (4, 1, 4))
        parts = [rows, jnp.transpose(image, (1, 0, 2))[:, :1], constant, same, rows]
        return jnp.concatenate([jnp.concatenate(parts), jnp.concatenate([*[rows] * 5, same])], 2)

    def level(image, given):
        return jnp.concatenate([image[0, 0], given["rows"][0], constant[0, 0]])

    rows = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    check(function, rows=rows)
    check(level, rows=rows)


def test_shares_of_a_softmax_mix_constants():
    bases = np.random.default_rng(2).standard_normal((4, 2, 3, 5)).astype(np.float32)
    check(lambda image, _: jnp.tensordot(jax.nn.softmax(3 * image[0, 0]), bases, 1))
    check(lambda image, _: jax.nn.softmax(image[:2, 1] / 0.5) @ bases[:, 0, 0])


def test_products_of_two_arrays_of_the_image():
    def pointwise(image, _):
        return jax.lax.dot_general(image, image[:4, 0], (((2,), (0,)), ((), ())))

    def of_rows(image, _):
        return jnp.einsum("n,hwn->hw", image[0, 0], image)

    def together(image, _):
        return jnp.einsum("hwc,hvc->hwv", image, image[:, :2])

    for function in (pointwise, of_rows, together):
        check(function)
    check(lambda image, given: pointwise(image, given) + given["b"][None, None], b=IMAGES[0, 0, 0])


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize(
    ("size", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 2)]
)
def test_depthwise_kernels_of_the_image(size, stride, dilation, padding):
    """JAX has the sum of shifted images, the graph is made of the native convolution."""
    bases = np.random.default_rng(size).standard_normal((4, size, size, 1, 4)).astype(np.float32)

    def function(image, _):
        kernel = jnp.tensordot(image[2, 3], bases, 1)
        return depthwise(image, kernel, stride, padding, dilation) * 2 + 1

    check(function)


def test_other_kernels_of_the_image_are_refused():
    bases = np.ones((4, 3, 3, 4, 2), np.float32)

    def function(image, _):
        return convolution(image, jnp.tensordot(image[0, 0], bases, 1))

    with pytest.raises(UnsupportedOperationError, match="export to LiteRT"):
        graph(function, {})
