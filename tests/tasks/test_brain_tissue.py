"""Tissues: what most of each voxel is of, and slices of one block on one side."""

import itertools

import numpy as np

from tasks import brain_tissue


def test_a_voxel_is_of_what_most_of_it_is():
    """Of 255 parts; fluid is what neither map has, and outside the brain there is none."""
    head = np.array([[0, 9, 9, 9, 9]], np.uint8)
    grey = np.array([[0, 10, 200, 100, 128]], np.uint8)
    white = np.array([[0, 20, 60, 150, 128]], np.uint8)
    assert brain_tissue.tissues(head, grey, white).tolist() == [[0, 1, 2, 3, 2]]


def test_blocks_lie_apart():
    blocks = sorted(
        (begin, end, split) for split, own in brain_tissue.BLOCKS.items() for begin, end in own
    )
    for (_, end, split), (begin, _, other) in itertools.pairwise(blocks):
        assert begin - end >= 4
        assert split != other or split == "train"
