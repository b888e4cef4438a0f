"""Gradients that C++ code computes, where a training step asks for them.

XLA reads and writes an image once for every sum of a norm's gradient, and a depthwise kernel's on
one thread; this takes one pass, on all threads. Equal to what the layers compute without, up to the
order of additions.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from adapters.native.library import NativeCodeError, register, target

ACTIVATIONS = ("linear", "relu", "relu6", "hard_swish")
KERNELS = (3, 5, 7)

_wanted = contextvars.ContextVar("wanted", default=False)


def check(mesh: Mesh) -> None:
    """Compiles the code, once, for a step on one CPU device.

    Raises NativeCodeError for other devices, between which XLA could not part its work, or where
    there is no compiler.
    """
    devices = [*mesh.devices.flat]
    if len(devices) > 1 or devices[0].platform != "cpu":
        raise NativeCodeError(
            f"native gradients are for one CPU device, and this run has {len(devices)} of the "
            f"platform {devices[0].platform}: train without them."
        )
    register()


@contextlib.contextmanager
def wanted(now: bool) -> Iterator[None]:
    """Whether functions traced within the block use what is here; `check` comes before."""
    token = _wanted.set(now)
    try:
        yield
    finally:
        _wanted.reset(token)


def serve(*arrays: jax.Array) -> bool:
    """Whether they are wanted, and for such arrays."""
    return _wanted.get() and all(each.dtype == jnp.float32 for each in arrays)


def of_norm(
    activation: str, x: jax.Array, dy: jax.Array, gain: jax.Array, bias: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients for x [H, W, C], gain and bias [C] of act(x * gain + bias), one of ACTIVATIONS."""
    like = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in (x, gain, bias)]
    call = jax.ffi.ffi_call(target("norm_gradients"), like, vmap_method="broadcast_all")
    dx, d_gain, d_bias = call(x, dy, gain, bias, activation=np.int64(ACTIVATIONS.index(activation)))
    return dx, d_gain, d_bias


def of_depthwise(
    x: jax.Array, w: jax.Array, dy: jax.Array, stride: int, dilation: int, before: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """Gradients for x [H, W, C] and w [k, k, 1, C], k of KERNELS, given dy [H', W', C].

    `before` are the rows and columns that padding adds before the input.
    """
    numbers = {"stride": stride, "dilation": dilation, "top": before[0], "left": before[1]}
    attributes = {name: np.int64(number) for name, number in numbers.items()}
    kernel = w.reshape(*w.shape[:2], w.shape[3])

    def call(name: str, like: jax.Array, first: jax.Array) -> jax.Array:
        result = jax.ShapeDtypeStruct(like.shape, like.dtype)
        made = jax.ffi.ffi_call(target(name), result, vmap_method="broadcast_all")
        return made(first, dy, **attributes)

    dx = call("input_gradients", x, kernel)
    return dx, call("kernel_gradients", kernel, x).reshape(w.shape)
