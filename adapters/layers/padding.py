"""How much a convolution pads: a property of the checkpoint, not of the network.

TensorFlow's "same" puts the odd pixel of a strided layer after the image; PyTorch's "symmetric"
pads both sides alike. Keras's MobileNetV1 pads an odd side as TensorFlow pads an even one,
"trailing", in its strided depthwise layers. The wrong choice shifts features by half a pixel at
every stride and no shape tells.
"""

from adapters.errors import ModelPatchError

Padding = tuple[tuple[int, int], tuple[int, int]]

PADDINGS = ("same", "symmetric", "trailing")


class UnknownPaddingError(ModelPatchError):
    """A padding convention that is none of `PADDINGS`."""


def explicit(
    padding: str, size: tuple[int, ...], kernel: int, stride: int, dilation: int
) -> Padding:
    """Pixels before and after each axis, ((top, bottom), (left, right)), for an image of `size`.

    >>> explicit("same", (224, 224), kernel=3, stride=2, dilation=1)
    ((0, 1), (0, 1))
    >>> explicit("symmetric", (224, 224), kernel=3, stride=2, dilation=1)
    ((1, 1), (1, 1))
    """
    span = (kernel - 1) * dilation + 1
    if padding == "symmetric":
        return ((span // 2, span // 2), (span // 2, span // 2))
    if padding == "trailing" and stride > 1:
        return ((span // 2 - 1, span // 2), (span // 2 - 1, span // 2))
    if padding not in PADDINGS:
        raise UnknownPaddingError(f"padding {padding!r} is unknown; choose one of {PADDINGS}.")

    def same(length: int) -> tuple[int, int]:
        total = max((-(-length // stride) - 1) * stride + span - length, 0)
        return total // 2, total - total // 2

    return same(size[0]), same(size[1])
