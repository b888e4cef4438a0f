"""How a framework writes down what a module holds: the names of its tensors, and their layouts."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["kernel", "depthwise", "biased", "matrix", "norm", "gain"]
"""A convolution without a bias, a depthwise one, a convolution with a bias, a fully connected
layer, a norm, a layer scale."""


class Style(NamedTuple):
    """One framework's.

    Attributes:
      leaves: for each kind of module, what is appended to its name, to our leaf.
      outputs_first: whether kernels are `[outputs, inputs, height, width]` and matrices `[outputs,
        inputs]`, else `[height, width, inputs, outputs]` (depthwise `[height, width, channels, 1]`)
        and `[inputs, outputs]`.
    """

    leaves: Mapping[Kind, Mapping[str, str]]
    outputs_first: bool


TORCH = Style(
    {
        "kernel": {".weight": "w"},
        "depthwise": {".weight": "w"},
        "biased": {".weight": "w", ".bias": "b"},
        "matrix": {".weight": "w", ".bias": "b"},
        "norm": {
            ".weight": "scale",
            ".bias": "offset",
            ".running_mean": "mean",
            ".running_var": "var",
        },
        "gain": {".gamma": "gain"},
    },
    outputs_first=True,
)

_TENSORFLOW_NORM = {
    "/gamma": "scale",
    "/beta": "offset",
    "/moving_mean": "mean",
    "/moving_variance": "var",
}

KERAS = Style(
    {
        "kernel": {"/kernel": "w"},
        "depthwise": {"/kernel": "w"},
        "biased": {"/kernel": "w", "/bias": "b"},
        "matrix": {"/kernel": "w", "/bias": "b"},
        "norm": _TENSORFLOW_NORM,
    },
    outputs_first=False,
)

SLIM = Style(
    {
        "kernel": {"/weights": "w"},
        "depthwise": {"/depthwise_weights": "w"},
        "biased": {"/weights": "w", "/biases": "b"},
        "norm": _TENSORFLOW_NORM,
    },
    outputs_first=False,
)
