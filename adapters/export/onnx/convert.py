"""A JAX function of one image as an ONNX graph of any number of images.

The graph is what `jax.vmap` of the function would compute. Layers pick among ways to compute by
platform (`jax.lax.platform_dependent`); here they get the one for platforms that are not named:
native convolutions, each of which becomes one `Conv`. What depends on nothing but constants is
computed on the way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from adapters.export.onnx import elementwise, own_kernels, products, shaping
from adapters.export.onnx.builder import IMAGES_AXIS, Builder
from adapters.export.onnx.installed import check_installed
from adapters.export.onnx.values import Tensor, UnsupportedOperationError, Value

# JAX's own functions of one array, by the name that it gives their calls.
_NAMED: dict[str, Callable[[Builder, str], str]] = {
    "relu": lambda build, x: build.node("Relu", x),
    "relu6": lambda build, x: build.node("Clip", x, *(build.number(n) for n in (0, 6))),
    "hard_sigmoid": lambda build, x: build.node("HardSigmoid", x, alpha=1 / 6, beta=0.5),
    "hard_silu": lambda build, x: build.node("HardSwish", x),
}
_SAME = ("copy", "copy_p", "optimization_barrier", "stop_gradient")
_CALLS = ("jaxpr", "call_jaxpr")


def onnx_graph(
    function: Callable[[Any, Mapping[str, jax.Array]], Mapping[str, jax.Array]],
    image: jax.ShapeDtypeStruct,
    inputs: Mapping[str, jax.ShapeDtypeStruct],
    images: str,
    dimensions: Mapping[str, Sequence[int | str]],
    metadata: Mapping[str, str],
    others: Mapping[str, jax.ShapeDtypeStruct] | None = None,
) -> bytes:
    """The serialised graph.

    Args:
      function: of one image and {input name: array} to {output name: array}. Arrays that it closes
        over become constants.
      image: shape and dtype of the image.
      inputs: shape and dtype of the others.
      images: what to call the input of images [N, *image.shape].
      dimensions: {name: shape} of inputs and outputs where the graph allows other lengths than
        the function was traced with, by a name instead of a number.
      metadata: texts to keep with the graph.
      others: shape and dtype of inputs that come with each image, [N, *shape] in the graph; the
        function gets them among the others.

    Raises:
      ONNXError: onnx is missing.
      UnsupportedOperationError: the function computes something that has no ONNX operation here.
    """
    check_installed()
    build = Builder()
    with_image = others or {}
    staged = jax.jit(function).trace(image, {**inputs, **with_image})
    traced = staged.jaxpr
    build.input(images, (IMAGES_AXIS, *image.shape))
    arguments: list[Value] = [Tensor(images, image.shape, tuple(range(image.ndim)), True)]
    for name, each in sorted({**inputs, **with_image}.items()):  # the order in which JAX flattens
        mapped = name in with_image
        own = (IMAGES_AXIS, *each.shape) if mapped else dimensions.get(name, each.shape)
        build.input(name, own)
        arguments.append(Tensor(name, each.shape, tuple(range(each.ndim)), mapped))
    found = _walked(build, traced.jaxpr, traced.consts, arguments)
    outputs = {
        name: (dimensions.get(name, (IMAGES_AXIS, *result.shape)), build.of_each_image(result))
        for name, result in zip(sorted(staged.out_info), found, strict=True)
    }
    return build.model(outputs, metadata)


def _walked(
    build: Builder, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Value]
) -> list[Value]:
    known: dict[Any, Value] = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))

    def value(of: Any) -> Value:
        return np.asarray(of.val, of.aval.dtype) if hasattr(of, "val") else known[of]

    for equation in jaxpr.eqns:
        results = _results(build, equation, [value(of) for of in equation.invars])
        known |= dict(zip(equation.outvars, results, strict=True))
    return [value(of) for of in jaxpr.outvars]


def _results(build: Builder, equation: Any, values: list[Value]) -> list[Value]:
    name, parameters = equation.primitive.name, equation.params
    if name == "platform_index":
        return [np.asarray(len(parameters["platforms"]) - 1, np.int32)]
    if name == "cond" and isinstance(values[0], np.ndarray):
        branch = parameters["branches"][int(values[0])]
        return _walked(build, branch.jaxpr, branch.consts, values[1:])
    if name == "select_n" and isinstance(values[0], np.ndarray) and not values[0].shape:
        return [values[1 + int(values[0])]]  # of a skipped block, nothing uses the other
    if name in _SAME:
        return values
    inner = next((parameters[key] for key in _CALLS if key in parameters), None)
    own = _NAMED.get(parameters.get("name", ""))
    if inner is not None and own is not None and isinstance(values[0], Tensor):
        return [values[0]._replace(name=own(build, values[0].name))]
    if inner is not None:
        return _walked(build, inner.jaxpr, inner.consts, values)
    if not any(isinstance(value, Tensor) for value in values):
        found = equation.primitive.bind(*values, **parameters)
        results = found if equation.primitive.multiple_results else [found]
        return [np.asarray(result) for result in results]
    return [_result(build, equation, values)]


def _result(build: Builder, equation: Any, values: list[Value]) -> Tensor:
    name, parameters = equation.primitive.name, equation.params
    shape, first = equation.outvars[0].aval.shape, values[0]
    if name == "conv_general_dilated":
        if isinstance(values[1], Tensor) and values[1].mapped:
            return own_kernels.depthwise(build, first, values[1], shape, parameters)
        return products.convolution(build, first, values[1], shape, parameters)
    if name == "dot_general":
        numbers = parameters["dimension_numbers"]
        return products.product(build, first, values[1], shape, numbers)
    if name == "div" and (mean := shaping.mean(build, *values)) is not None:
        return mean
    if name in elementwise.NODES:
        return elementwise.elementwise(build, name, values, shape)
    if name == "concatenate":
        return shaping.joined(build, values, parameters["dimension"], shape)
    if isinstance(first, Tensor):
        match name:
            case "erfc":
                return elementwise.complementary_error(build, first)
            case "broadcast_in_dim":
                axes = parameters["broadcast_dimensions"]
                return shaping.broadcast(build, first, shape, axes)
            case "reshape" | "squeeze" | "expand_dims":
                return shaping.reshape(build, first, shape)
            case "transpose":
                return shaping.transpose(first, parameters["permutation"])
            case "reduce_sum" | "reduce_max":
                operation = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax"}[name]
                return shaping.reduced(build, operation, first, parameters["axes"], shape)
            case "argmax":
                (axis,) = parameters["axes"]
                return shaping.largest(build, first, axis, shape)
            case "pad":
                return shaping.padded(build, first, values[1], parameters["padding_config"], shape)
            case "slice":
                return shaping.sliced(build, first, parameters, shape)
            case "convert_element_type" if parameters["new_dtype"] == equation.invars[0].aval.dtype:
                return first
            case "convert_element_type":
                return first._replace(name=build.cast(first.name, parameters["new_dtype"]))
    raise UnsupportedOperationError(
        f"{name!r} of JAX has no ONNX operation here: export to LiteRT instead."
    )
