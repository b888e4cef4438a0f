"""The store spells the norm modes itself, so as not to need JAX."""

from adapters.layers.norm import MODES
from adapters.store.contents import NORM_MODES


def test_files_know_the_modes_that_layers_have():
    assert NORM_MODES == MODES
