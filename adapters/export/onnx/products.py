"""ONNX nodes for convolutions and products, and for the norms after them."""

import string
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from adapters.export.onnx.builder import Builder
from adapters.export.onnx.values import (
    Constant,
    Shape,
    Tensor,
    UnsupportedOperationError,
    Value,
)

NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))  # of images, kernels [k, k, in, out], results


class Convolved(NamedTuple):
    """A note: the tensor is a convolution without a bias."""

    image: str
    kernel: str
    attributes: Mapping[str, Any]


def convolution(
    build: Builder, x: Value, w: Value, shape: Shape, parameters: Mapping[str, Any]
) -> Tensor:
    """A convolution of x [1, H, W, in] with w [k, k, in / groups, out]; `shape` is the result's.

    Raises UnsupportedOperationError for one that no layer here computes.
    """
    if not is_of_layers(x, parameters) or not isinstance(x, Tensor):
        raise unsupported(x, w, parameters)
    (top, bottom), (left, right) = parameters["padding"]
    attributes = {
        "kernel_shape": w.shape[:2],
        "pads": (top, left, bottom, right),
        "strides": parameters["window_strides"],
        "dilations": parameters["rhs_dilation"],
        "group": parameters["feature_group_count"],
    }
    note = Convolved(build.arranged(x, (3, 1, 2)), build.arranged(w, (3, 2, 0, 1)), attributes)
    return convolved(build, note, shape, None, stored=(3, 1, 2))


def is_of_layers(x: Value, parameters: Mapping[str, Any]) -> bool:
    """Whether a convolution of x, which depends on the image, is of a kind that layers have."""
    return (
        tuple(parameters["dimension_numbers"]) == NHWC
        and x.shape[0] == 1
        and isinstance(x, Tensor)
        and x.mapped
        and set(parameters["lhs_dilation"]) == {1}
        and parameters["batch_group_count"] == 1
    )


def unsupported(x: Value, w: Value, parameters: Mapping[str, Any]) -> UnsupportedOperationError:
    """What to raise for a convolution of no known kind."""
    return UnsupportedOperationError(
        f"a convolution of {list(x.shape)} by {list(w.shape)} with "
        f"{parameters['dimension_numbers']} is of no kind that layers here are of: export to "
        "LiteRT instead."
    )


def convolved(
    build: Builder,
    note: Convolved,
    shape: Shape,
    bias: Constant | None,
    stored: tuple[int, ...] = (2, 0, 1),
) -> Tensor:
    """The convolution that a note tells of, with a bias [out] if there is one."""
    inputs = [note.image, note.kernel]
    if bias is not None:
        inputs.append(build.constant(bias))
    name = build.node("Conv", *inputs, **note.attributes)
    if bias is None:
        build.notes[name] = note
    return Tensor(name, shape, stored, mapped=True)


def normalised(
    build: Builder, image: Tensor, factor: Constant | str, offset: Constant | str
) -> Tensor:
    """image * factor + offset by channels, as a norm whose statistics are those of no change.

    ONNX Runtime computes a norm in one pass, and takes one with constants up into a convolution.
    """
    vectors = [each if isinstance(each, str) else build.constant(each) for each in (factor, offset)]
    ones = np.ones(image.shape[-1], np.float32)
    name = build.node(
        "BatchNormalization",
        image.name,
        *vectors,
        build.constant(np.zeros_like(ones)),
        build.constant(ones),
        epsilon=0.0,
    )
    return image._replace(name=name)


def product(build: Builder, x: Value, w: Value, shape: Shape, numbers: Any) -> Tensor:
    """A product of two arrays, summed over some axes, as in `jax.lax.dot_general`.

    Args:
      build: the graph.
      x, w: the arrays.
      shape: of the result.
      numbers: (axes of x and of w that are summed over), (axes that go together).
    """
    (summed, summed_w), (together, _) = numbers
    plain = not together and tuple(summed_w) == (0,)
    if plain and isinstance(x, Tensor) and x.mapped and tuple(summed) == (len(x.shape) - 1,):
        own = isinstance(w, Tensor) and w.mapped
        if x.stored == tuple(summed) and len(w.shape) == 2 and not own:
            name = build.node("MatMul", x.name, build.whole(w))
            return Tensor(name, shape, (len(shape) - 1,), mapped=True)
        if x.stored == (0,) and isinstance(w, np.ndarray):
            return _mixed(build, x, w, shape)
        if len(x.shape) == 3 and len(w.shape) == 2:
            return (_own_pointwise if own else _pointwise)(build, x, w, shape)
    return _einsum(build, x, w, shape, numbers)


def _mixed(build: Builder, x: Tensor, w: Constant, shape: Shape) -> Tensor:
    """[N] by [N, ...], any array for each image, as a product with a matrix."""
    name = build.node("MatMul", x.name, build.constant(w.reshape(len(w), -1)))
    name = build.node("Reshape", name, build.integers(0, *shape))
    return Tensor(name, shape, tuple(range(len(shape))), mapped=True)


def _own_pointwise(build: Builder, x: Tensor, w: Value, shape: Shape) -> Tensor:
    """[H, W, in] by [in, out], which every image has its own of, as one product an image."""
    height, width, channels = x.shape
    pixels = build.node(
        "Reshape", build.arranged(x, (2, 0, 1)), build.integers(0, channels, height * width)
    )
    kernel = build.node("Transpose", build.whole(w), perm=(0, 2, 1))
    name = build.node("MatMul", kernel, pixels)
    name = build.node("Reshape", name, build.integers(0, shape[2], height, width))
    return Tensor(name, shape, (2, 0, 1), mapped=True)


def _pointwise(build: Builder, x: Tensor, w: Value, shape: Shape) -> Tensor:
    """[H, W, in] by [in, out] as a convolution of one pixel."""
    if isinstance(w, Tensor):
        square = w._replace(shape=(1, 1, *w.shape), stored=tuple(axis + 2 for axis in w.stored))
        kernel = build.arranged(square, (3, 2, 0, 1))
    else:
        kernel = build.constant(w.T[:, :, None, None])
    note = Convolved(build.arranged(x, (2, 0, 1)), kernel, {"kernel_shape": (1, 1)})
    return convolved(build, note, shape, None)


def _einsum(build: Builder, x: Value, w: Value, shape: Shape, numbers: Any) -> Tensor:
    (summed, summed_w), (together, together_w) = numbers
    letters = iter(string.ascii_lowercase)
    of_x = [next(letters) for _ in x.shape]
    of_w = [next(letters) for _ in w.shape]
    for axis, axis_w in zip((*summed, *together), (*summed_w, *together_w), strict=True):
        of_w[axis_w] = of_x[axis]
    free = [name for axis, name in enumerate(of_x) if axis not in (*summed, *together)]
    free_w = [name for axis, name in enumerate(of_w) if axis not in (*summed_w, *together_w)]
    result = [of_x[axis] for axis in together] + free + free_w
    terms, names = [], []
    for value, axes in ((x, of_x), (w, of_w)):
        mapped = isinstance(value, Tensor) and value.mapped
        if isinstance(value, Tensor) and len(value.stored) == len(value.shape):
            names.append(value.name)
            axes = [axes[axis] for axis in value.stored]
        else:
            names.append(build.whole(value))
        terms.append(("Z" if mapped else "") + "".join(axes))
    mapped = any(term.startswith("Z") for term in terms)
    equation = f"{','.join(terms)}->{'Z' * mapped}{''.join(result)}"
    name = build.node("Einsum", *names, equation=equation)
    return Tensor(name, shape, tuple(range(len(shape))), mapped)
