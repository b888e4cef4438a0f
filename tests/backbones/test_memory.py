"""No file of ten megabytes makes a reader take more than 256 beyond what the layer table needs."""

import tracemalloc

import pytest

from adapters import pickle_machine
from adapters.backbones.convert import load_checkpoint
from adapters.backbones.registry import table
from adapters.backbones.tensorflow import messages
from adapters.errors import ModelPatchError
from tests.backbones import hostile

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def rows():
    """The table, for which everything that is kept between calls has been made."""
    return table("mobilenet_v2_0.35")


@pytest.mark.parametrize("name", hostile.FILES)
def test_a_small_file_is_refused_in_few_words_and_little_memory(name, rows, tmp_path, monkeypatch):
    # Counting up to these limits takes seconds under tracemalloc.
    monkeypatch.setattr(messages, "_FIELDS_LIMIT", 1 << 12)
    monkeypatch.setattr(pickle_machine, "MEMORY", 1 << 23)
    data = hostile.FILES[name]()
    assert len(data) < 10.5 * MEGABYTE
    (tmp_path / name).write_bytes(data)
    del data
    tracemalloc.start()
    try:
        with pytest.raises(ModelPatchError) as refused:
            load_checkpoint(tmp_path / name, rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 256 * MEGABYTE
    assert str(refused.value).startswith(f"{tmp_path / name}: ")
    assert len(str(refused.value)) < 3_000
