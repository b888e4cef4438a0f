"""Multiply-adds of a traced function: its convolutions and its matrix products, nothing else.

The convention of published figures: a tap that falls on padding counts; norms, biases, activations,
gates, pooling, sums and the resizing of an image do not. Products of two activations (attention)
count like any other.
"""

import math
from collections.abc import Iterator
from typing import Any

from jax.extend import core

from adapters.errors import ModelPatchError

_RESIZES = ("_resize", "resize")  # jax.image writes them as matrix products of mostly zeros


class UncountableError(ModelPatchError):
    """How much a function computes depends on its values, so that no shape tells."""


def multiply_adds(equation: core.JaxprEqn) -> int:
    """Counts those of one equation, and of all that it calls.

    Where branches are chosen from, the dearest one counts: a layer with a way of its own for each
    platform writes one of them as a convolution.

    Raises UncountableError for a loop without a fixed number of turns.
    """
    name, parameters = equation.primitive.name, equation.params
    if parameters.get("name") in _RESIZES:
        return 0
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        left = shape(equation.invars[0])
        return size(equation.outvars[0]) * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = shape(equation.invars[1])
        channels = kernel[parameters["dimension_numbers"].rhs_spec[0]]
        return size(equation.outvars[0]) * math.prod(kernel) // channels
    inner = [
        sum(map(multiply_adds, jaxpr.eqns))
        for value in parameters.values()
        for jaxpr in _jaxprs(value)
    ]
    if name == "while" and any(inner):
        raise UncountableError("a while loop has products in it; write it as a scan.")
    if name == "cond":
        return max(inner)
    return sum(inner) * (parameters["length"] if name == "scan" else 1)


def shape(variable: Any) -> tuple[int, ...]:
    """Of a variable or a literal."""
    return variable.aval.shape


def size(variable: Any) -> int:
    """Elements of a variable or a literal."""
    return math.prod(shape(variable))


def _jaxprs(value: Any) -> Iterator[core.Jaxpr]:
    if isinstance(value, core.ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _jaxprs(part)
