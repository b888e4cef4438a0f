"""Padding conventions against the frameworks they come from."""

import itertools

import pytest
from jax import lax

from adapters.layers import padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"),
    list(itertools.product((1, 7, 8, 224), (1, 3, 5, 7), (1, 2), (1, 2))),
)
def test_same_is_tensorflows(size, kernel, stride, dilation):
    span = (kernel - 1) * dilation + 1
    expected = tuple(lax.padtype_to_pads((size, size), (span, span), (stride, stride), "SAME"))
    assert padding.explicit("same", (size, size), kernel, stride, dilation) == expected


def test_symmetric_is_pytorchs():
    # torch.nn.Conv2d(padding=(kernel - 1) // 2 * dilation), whatever the size.
    assert padding.explicit("symmetric", (8, 9), 5, 2, 2) == ((4, 4), (4, 4))


def test_trailing_is_what_same_is_for_even_sides():
    # Keras's MobileNetV1: ZeroPadding2D(((0, 1), (0, 1))) before each strided depthwise layer.
    assert padding.explicit("trailing", (8, 9), 3, 2, 1) == ((0, 1), (0, 1))
    assert padding.explicit("trailing", (8, 9), 3, 1, 1) == ((1, 1), (1, 1))


def test_an_unknown_convention_is_refused():
    with pytest.raises(padding.UnknownPaddingError, match="valid"):
        padding.explicit("valid", (8, 8), 3, 1, 1)
