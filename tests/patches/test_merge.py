"""Random chains: merged edits against the same edits applied one after another."""

import chex
import jax
import numpy as np
import pytest

from adapters.patches import merge
from adapters.patches.combine import chain
from adapters.patches.contract import Patch, PatchParams
from adapters.store.edits import apply_edits
from adapters.vocabulary import EDIT_KINDS

MODULE, SHAPE = "stem", (3, 5)


def random_edits(generator, kind, leaf, path=MODULE):
    def normal(*shape):
        return generator.normal(size=shape).astype(np.float32)

    bits = np.packbits(generator.integers(0, 2, 15))
    rank = int(generator.integers(1, 4))
    named = {
        "module": {leaf: normal(*SHAPE)},
        "insert": {leaf: normal(*SHAPE)},
        "replace": {leaf: normal(*SHAPE)},
        "mask": {leaf: bits},
        "affine_mask": {f"{leaf}.mask": bits, f"{leaf}.coefficients": normal(4)},
        "mixture": {f"{leaf}.coefficients": normal(2)},
        "low_rank": {f"{leaf}.down": normal(3, rank), f"{leaf}.up": normal(rank, 5)},
        "add": {leaf: normal(*SHAPE)},
    }
    return {kind: {path: named[kind]}}


# Kind after kind in one leaf, where a file can express it; an insertion and a later replacement are
# an insertion, all before a replacement is gone, and sums may change places.
EXPRESSIBLE = {
    *(("module", "replace"), ("insert", "replace"), ("replace", "replace"), ("mask", "replace")),
    *(("affine_mask", "replace"), ("low_rank", "replace"), ("add", "replace")),
    *(("replace", "mask"), ("replace", "affine_mask"), ("replace", "low_rank")),
    *(("replace", "add"), ("mask", "mask"), ("mask", "affine_mask"), ("mask", "low_rank")),
    *(("mask", "add"), ("affine_mask", "low_rank"), ("affine_mask", "add")),
    *(("low_rank", "low_rank"), ("low_rank", "add"), ("add", "low_rank"), ("add", "add")),
    *(("mixture", "replace"), ("replace", "mixture"), ("mask", "mixture")),
    *(("affine_mask", "mixture"), ("mixture", "mixture"), ("mixture", "low_rank")),
    *(("low_rank", "mixture"), ("mixture", "add"), ("add", "mixture")),
}


def merged(edits):
    return jax.tree.map(np.asarray, merge.merge_edits(edits))


@pytest.mark.parametrize("first", EDIT_KINDS)
@pytest.mark.parametrize("second", EDIT_KINDS)
def test_pairs_that_a_file_cannot_express_are_refused(first, second):
    generator = np.random.default_rng(0)
    edits = [random_edits(generator, kind, "w") for kind in (first, second)]
    if (first, second) in EXPRESSIBLE:
        merged(edits)
    else:
        with pytest.raises(merge.UnmergeableEditsError, match=f"stem/w .*{second}.*{first}"):
            merge.merge_edits(edits)


@pytest.mark.parametrize("seed", range(300))
def test_merged_edits_have_the_effect_of_each_in_turn(seed):
    generator = np.random.default_rng(seed)
    bases = generator.normal(size=(2, *SHAPE)).astype(np.float32)
    weights = {MODULE: {"w": generator.normal(size=SHAPE).astype(np.float32), "bases": bases}}
    chosen = generator.choice(EDIT_KINDS, size=generator.integers(1, 6))
    added = {"module": ("w", "own"), "insert": ("adapter", MODULE)}
    edits = [random_edits(generator, kind, *added.get(kind, ("w", MODULE))) for kind in chosen]
    edits += [random_edits(generator, "replace", *added[kind]) for kind in added if kind in chosen]
    try:
        together = merged(edits)
    except merge.UnmergeableEditsError:
        assert any(
            pair not in EXPRESSIBLE
            for index, later in enumerate(chosen)
            for pair in [(earlier, later) for earlier in chosen[:index]]
        )
        return
    in_turn = weights
    for each in edits:
        in_turn = apply_edits(in_turn, each)
    chex.assert_trees_all_close(apply_edits(weights, together), in_turn, rtol=1e-5, atol=1e-5)


def test_a_chain_packs_merged_edits():
    generator = np.random.default_rng(0)
    packs = [random_edits(generator, kind, "w") for kind in ("add", "add")]
    parts = [
        Patch(init=lambda *_: PatchParams(), apply=lambda w, *_: w, pack=lambda _, own=own: own)
        for own in packs
    ]
    params = PatchParams(*[((), ())] * 3)
    np.testing.assert_array_equal(
        chain(*parts).pack(params)["add"][MODULE]["w"],
        packs[0]["add"][MODULE]["w"] + packs[1]["add"][MODULE]["w"],
    )


def test_an_unknown_kind_is_named():
    with pytest.raises(merge.UnmergeableEditsError, match="'mix'"):
        merge.merge_edits([{"mix": {}}])
