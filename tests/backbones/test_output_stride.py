"""Dilated networks against the strided one they come from."""

import jax
import numpy as np
import pytest

from adapters.backbones.builder import build
from adapters.backbones.output_stride import OutputStrideError, with_output_stride
from adapters.backbones.registry import table
from adapters.backbones.rows import Convolution, InvertedResidual
from adapters.backbones.table import LayerTable
from tests import narrow


def strided():
    """Five strides of 2, in blocks without squeeze-excite."""
    stem = Convolution(inputs=3, outputs=4, kernel=3, stride=2, activation="relu")
    rows = [stem]
    for channels in (5, 6, 7, 8):
        inputs = rows[-1].outputs
        for own, stride in ((inputs, 2), (channels, 1)):
            rows.append(
                InvertedResidual(
                    inputs=own,
                    outputs=channels,
                    kernel=5 if channels == 7 else 3,
                    expanded=2 * own,
                    stride=stride,
                    activation="relu",
                )
            )
    return LayerTable("strided", tuple(rows))


@pytest.mark.parametrize("stride", [16, 8])
def test_lagging_dilation_holds_the_strided_values(stride):
    """The dense evaluation: every map of the strided network is a part of the denser one."""
    backbone = build(strided(), "symmetric")
    weights = narrow.disturbed(jax.jit(backbone.init)(jax.random.key(0)), seed=1)
    image = jax.random.normal(jax.random.key(2), (64, 64, 3))
    coarse = jax.jit(backbone.apply)(weights, image).endpoints
    dense = build(with_output_stride(strided(), stride, lag=True), "symmetric")
    fine = jax.jit(dense.apply)(weights, image).endpoints
    for name, expected in coarse.items():
        step = fine[name].shape[0] // expected.shape[0]
        np.testing.assert_allclose(fine[name][::step, ::step], expected, rtol=1e-4, atol=1e-5)
    assert fine["block_08"].shape[:2] == (64 // stride, 64 // stride)


def test_blocks_are_dilated_at_once_unless_told_otherwise():
    def rates(**settings):
        rows = with_output_stride(table("mobilenet_v3_large_1.0"), **settings).rows
        return [(row.stride, row.dilation) for row in rows[6:16]]

    assert rates(stride=8) == [(1, 1), *[(1, 2)] * 6, *[(1, 4)] * 3]
    assert rates(stride=8, lag=True) == [(1, 1), (1, 1), *[(1, 2)] * 6, *[(1, 4)] * 2]
    assert rates(stride=16) == [(1, 1), (2, 1), *[(1, 1)] * 5, *[(1, 2)] * 3]


def test_impossible_strides_are_refused():
    with pytest.raises(OutputStrideError, match="none of"):
        with_output_stride(table("mobilenet_v2_1.0"), 4)
    with pytest.raises(OutputStrideError, match="stride of 16 in its first row"):
        with_output_stride(table("isometric"), 8)
    rows = strided().rows
    same = InvertedResidual(inputs=8, outputs=8, kernel=3, expanded=16, stride=2)
    with pytest.raises(OutputStrideError, match="would gain a residual"):
        with_output_stride(LayerTable("a", (*rows, same)), 32)
