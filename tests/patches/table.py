"""The table that every patch family enters: one row a setting worth testing."""

import itertools
from typing import NamedTuple
from unittest import mock

from adapters.backbones import registry
from adapters.backbones.taps import FEATURES
from adapters.patches.combine import chain, reading, select
from adapters.patches.contract import Patch
from adapters.patches.registry import from_spec
from adapters.patches.scale_bias import scale_bias
from adapters.vocabulary import NormMode
from tests import narrow
from tests.patches.openings import opening


class Entry(NamedTuple):
    """A patch, the norm mode it trains in, and the bits a MobileNetV2 1.0 file spends on it.

    `alike` says whether the network starts as the un-patched one.
    """

    name: str
    patch: Patch
    norm: NormMode
    bits: int
    alike: bool = True


def _named(
    spec: str, values: int, norm: NormMode = "frozen", bits: int = 0, alike: bool = True
) -> Entry:
    """`values` are floats; `bits` come on top."""
    with mock.patch.dict(registry.TABLES, narrow=lambda: narrow.TABLE):
        patch = from_spec(spec, norm)
    return Entry(f"{spec}, {norm}", patch, norm, 32 * values + bits, alike)


def _of_features(spec: str, values: int) -> Entry:
    """One of those that ask which maps heads read, for heads that read the pooled features."""
    entry = _named(spec, values)
    return entry._replace(patch=reading(entry.patch, {FEATURES: FEATURES}))


def _late(path: str, name: str, leaf: object) -> bool:
    return path.startswith(("block_03", "block_17"))


# Channels into and out of MobileNetV2's blocks, and of the last nine norms.
BLOCKS = list(
    itertools.pairwise([32, 16, *[24] * 2, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320])
)
CONV_ADAPTER = sum((i // 4) * (i + 9 + o) for i, o in BLOCKS)
LAST_NINE = 1280 + 320 + 2 * 160 + 5 * 960
KERNELS = 2_189_760  # values of all 52 convolutions' kernels

# The values of bias to full are published or derived in arXiv 1810.10703 and 2007.11622;
# statistics add two values for each of the 17,056 norm channels. A low rank r of a 1x1 convolution
# is r (inputs + outputs), 18,528 r in all.
PLAIN = (
    _named("head_only", 0),
    _named("bias", 17_056),
    _named("scale_bias", 34_112),
    _named("scale_bias", 68_224, "batch"),
    _named("scale_bias", 68_224, "ema"),
    _named("depthwise", 64_224),
    _named("scale_bias+depthwise", 98_336),
    _named("full", 2_223_872),
    # Norm channels of block_03 (144, 144, 24) and block_17 (960, 960, 320), twice.
    Entry("late scale_bias", select(_late, scale_bias()), "frozen", 32 * 2 * (312 + 2_240)),
    Entry("chain of one", chain(scale_bias()), "frozen", 32 * 34_112),
    _named("lora(rank=2)", 37_056),
    _named("lora(rank=4, alpha=2)+depthwise", 74_112 + 64_224),
    _named("film", 34_112),
    _named("delta", KERNELS),
    _named("mask", 0, bits=KERNELS),
    _named("mask(affine=true)+scale_bias", 34_112 + 4 * 52, bits=KERNELS),
    # Blocks' inputs times outputs: 32 x 16 + 16 x 24 + ... + 160 x 320. Low ranks: 2 (C + C) for
    # each of the 7,136 depthwise channels.
    _named("parallel_adapter", 160_960),
    _named("parallel_adapter(across=depthwise, rank=2)+scale_bias", 28_544 + 34_112),
    # For each block in * r + 9 r + r * out with r = in // 4.
    _named("conv_adapter", CONV_ADAPTER),
    _named("last(scale_bias, layers=9)", 2 * LAST_NINE),
    _named("last(scale_bias+depthwise, budget_bits=10000000)", 98_336),
    _named("random_gates(scale_bias+lora(rank=2), budget_bits=10000000)", 34_112 + 37_056),
    # The adapters of the last two blocks, 160 x 160 and 160 x 320; and those of all.
    _named("last(parallel_adapter, layers=2)", 160 * 160 + 160 * 320),
    _named("spotpatch(conv_adapter+film)", CONV_ADAPTER + 34_112),
    _named("film+scale_bias", 2 * 34_112),
    _named("spotpatch(scale_bias)", 34_112),
    _named("spotpatch(lora(rank=2)+scale_bias, per=block)", 37_056 + 34_112),
    _named("spotpatch(mask+scale_bias)", 68_224, "ema", bits=KERNELS),
    # MobileNetV2 has ten residual blocks: 1, 2, 3, 2 and 2 at 24, 32, 64, 96 and 160 channels.
    Entry("blocks opened", opening(), "frozen", 32 * 10),
)
# Those that read an input beside the image. A network of 3 x 4 + 4 values, and from each of its 4
# units to the scales and offsets of the last norms.
LAST_SIX = 1280 + 320 + 160 + 3 * 960
READING = (
    _named("conditional", 16 + 4 * 2 * LAST_SIX),
    _named("scale_bias+conditional(norms=9)", 34_112 + 16 + 4 * 2 * LAST_NINE),
    # 16 embeddings of 16 numbers and a bias; blocks have 1,504 outputs in all.
    _named("query_modulation", 16 * 17 + 16 * 2 * 1504),
    _of_features("query_modulation(at=head)", 16 * 17 + 16 * 2 * 1280),
)
PREVIEW = "preview=narrow, preview_size=16, dropout=0"
# Those that add leaves to the weights that all tasks share.
EXTENDING = (
    # Two 1x1 convolutions in each of the last three blocks, four bases.
    _named("coefficients", 6 * 4),
    _named("coefficients(per=network, kernels=both, bases=2)+scale_bias", 9 * 2 + 34_112),
    # All bases and the preview network are shared; its norms are a task's own, too.
    _named(f"basisnet({PREVIEW})", 0, alike=False),
    _named(
        f"basisnet({PREVIEW}, per=network, kernels=both, bases=2)+scale_bias",
        34_112 + 2 * (8 + 8 + 8 + 16 + 16 + 12 + 24 + 24 + 12 + 16),
        alike=False,
    ),
)
ENTRIES = (*PLAIN, *READING, *EXTENDING)
