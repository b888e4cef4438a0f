"""Published spaces, written as decisions, have the sizes that their papers state."""

import math

import pytest

from adapters.backbones.table import make_divisible
from adapters.search.space import Decision, Space, Unless

MNASNET = {
    "operation": (
        "conv",
        "depthwise separable",
        "inverted bottleneck x3",
        "inverted bottleneck x6",
    ),
    "kernel": ("3", "5"),
    "squeeze-excite": ("0", "0.25"),
    "skip": ("pooling", "identity", "none"),
    "filters": ("0.75", "1", "1.25"),
    "layers": ("-1", "0", "+1"),
}
"""Of a block; arXiv 1807.11626, section 4.1. That the bottleneck's expansion is 3 or 6 is our
reading: with it a block has the 432 options that the paper counts with."""

FILTERS = (16, 16, 32, 64, 128, 256, 512, 1024)
MULTIPLIERS = (0.5, 0.625, 0.75, 1, 1.25, 1.5, 2)
BOTTLENECK = {"kernel": ("3", "5", "7"), "expansion": tuple("123456"), "squeeze-excite": ("0", "1")}
"""Of TuNAS' space like MobileNetV3, arXiv 2008.06120 and its code."""


def factorised(blocks, copies):
    """A space in which each of `blocks` has its options, `copies` times."""
    return Space(
        [
            Decision(f"block {block} {copy} {name}", options)
            for block in range(blocks)
            for copy in range(copies)
            for name, options in MNASNET.items()
        ]
    )


def test_mnasnet_s_hierarchy_has_432_options_a_block_instead_of_a_layer():
    assert factorised(1, 1).count() == 432
    assert factorised(5, 1).count() == 432**5
    assert int(math.log10(factorised(5, 1).count())) == 13  # all layers of a block alike
    assert int(math.log10(factorised(5, 3).count())) == 39  # three layers, each its own


def test_the_space_like_mobilenet_v3_has_86_decisions_and_about_1e43_networks():
    decisions = [
        Decision(f"width {place}", tuple(dict.fromkeys(map(str, widths))))
        for place, filters in enumerate(FILTERS)
        if (widths := [make_divisible(filters * factor) for factor in MULTIPLIERS])
    ]
    decisions += [
        Decision("stem kernel", ("3", "5")),
        Decision("second", ("keep", "skip")),
        Decision("second kernel", ("3", "5", "7")),
    ]
    for group in range(5):
        for layer in range(4):
            name = f"group {group} layer {layer}"
            if layer:
                decisions.append(Decision(f"{name} skip", ("keep", "skip")))
            decisions += [Decision(f"{name} {kind}", own) for kind, own in BOTTLENECK.items()]
    space = Space(decisions)
    assert len(space) == 86
    assert math.log10(space.count()) == pytest.approx(42.9, abs=0.05)
    hanging = []
    for decision in decisions:
        owner = decision.name.rpartition(" ")[0]
        skip = next((i for i, own in enumerate(hanging) if own.name == f"{owner} skip"), None)
        unless = None if skip is None else Unless(skip, 1)
        hanging.append(decision._replace(unless=unless))
    # Fewer differ: what a skipped layer would be is no choice.
    assert 38 < math.log10(Space(hanging).count()) < 39
