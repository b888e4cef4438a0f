"""The committed files of every kind and encoding: read or refused as they always were."""

import numpy as np
import pytest

from adapters.store import encoding, errors
from adapters.store.read import read_patch
from adapters.store.write import encode_patch
from adapters.vocabulary import EDIT_KINDS
from tests.store import make_kind_patches, make_patches

BACKBONE = {
    "shapes": make_kind_patches.SHAPES,
    "features": 3,
    "fingerprint": make_patches.CARD["backbone"]["fingerprint"],
}
DTYPES = {"F32": np.float32, "U8": np.uint8}


def committed(name, content):
    path = make_patches.FOLDER / name
    assert path.read_bytes() == content, "run python -m tests.store.make_kind_patches"
    return path


def test_there_is_a_file_of_every_kind_and_encoding():
    assert set(make_kind_patches.KINDS) == set(EDIT_KINDS)
    assert set(make_kind_patches.ENCODINGS) == set(encoding.ENCODINGS)


@pytest.mark.parametrize(
    ("name", "made"), make_kind_patches.goods().items(), ids=make_kind_patches.goods()
)
def test_a_good_file_gives_its_numbers(name, made):
    kind, stored_as, content = made
    contents = read_patch(committed(name, content), **BACKBONE)
    assert (contents.encoding, list(contents.edits)) == (stored_as, [kind] if kind else [])
    found = {f"head/{leaf}": array for leaf, array in contents.head.items()}
    for module, leaves in contents.edits.get(kind, {}).items():
        found |= {f"edit/{kind}/{module}/{leaf}": array for leaf, array in leaves.items()}
    expected = make_kind_patches.places(kind)
    assert found.keys() == expected.keys()
    for tensor, place in expected.items():
        if isinstance(place, tuple):
            shape, values, dtype = place
            array = np.array(values, DTYPES[dtype])
        else:
            shape = place
            array = np.float32(make_kind_patches.wholes(shape)) / np.float32(64)
        assert found[tensor].dtype == array.dtype
        np.testing.assert_array_equal(found[tensor], array.reshape(shape), strict=True)
    assert encode_patch(contents) == content


@pytest.mark.parametrize(
    ("name", "bad"), make_kind_patches.bads().items(), ids=make_kind_patches.bads()
)
def test_a_bad_file_is_refused_for_its_reason(name, bad):
    with pytest.raises(errors.PatchFileError) as refusal:
        read_patch(committed(name, bad.content), **BACKBONE)
    assert type(refusal.value).__name__ == bad.error
    assert bad.said in refusal.value.reason
