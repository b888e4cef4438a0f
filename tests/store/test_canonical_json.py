import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.store import canonical_json, errors

SPELLINGS = [
    (None, b"null"),
    ({"b": 1, "a": [True, None], "B": {}}, b'{"B":{},"a":[true,null],"b":1}'),
    ("d\u00f6g\n\U0001f415", rb'"d\u00f6g\n\ud83d\udc15"'),
    ([0.1, -0.0, 1e22, 5e-324, 1.0], b"[0.1,-0.0,1e+22,5e-324,1.0]"),
    (2**53 - 1, b"9007199254740991"),
]


@pytest.mark.parametrize(("value", "spelling"), SPELLINGS)
def test_spelling(value, spelling):
    assert canonical_json.encode(value) == spelling
    assert repr(canonical_json.decode(spelling)) == repr(
        dict(sorted(value.items())) if isinstance(value, dict) else value
    )


def test_sequences_and_mappings_are_plain():
    assert canonical_json.encode({"a": (1, 2)}) == b'{"a":[1,2]}'


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("-inf"), {1: 2}, {"a": b""}, {1, 2}, 2**53, "\ud800", {"\udfff": 1}],
)
def test_values_without_a_spelling(value):
    with pytest.raises(errors.JSONError):
        canonical_json.encode(value)


def test_depth_that_is_just_allowed():
    assert canonical_json.decode(b"[" * 16 + b"1" + b"]" * 16)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", errors.JSONError),
        (b"{", errors.JSONError),
        (b"1 2", errors.JSONError),
        (b"NaN", errors.JSONError),
        (b"-Infinity", errors.JSONError),
        (b"1e999", errors.JSONError),
        (b'"\xc3\xb6"', errors.JSONError),
        (rb'"\ud800"', errors.JSONError),
        (b"9007199254740992", errors.JSONError),
        (b"1" * 5000, errors.JSONError),
        (b"[" * 17 + b"]" * 17, errors.JSONError),
        (b"[" * 100_000, errors.JSONError),
        (b'{"a":1,"a":1}', errors.DuplicateKeyError),
        (rb'{"a":1,"\u0061":2}', errors.DuplicateKeyError),
        (b'[{"a":{"b":1,"b":2}}]', errors.DuplicateKeyError),
        (b'{"b":1,"a":1}', errors.NotCanonicalError),
        (b"[1, 2]", errors.NotCanonicalError),
        (b"1\n", errors.NotCanonicalError),
        (b"1.50", errors.NotCanonicalError),
        (b"1E5", errors.NotCanonicalError),
        (b"-0", errors.NotCanonicalError),
        (rb'"\u00F6"', errors.NotCanonicalError),
        (rb'"\/"', errors.NotCanonicalError),
    ],
)
def test_refused(data, error):
    with pytest.raises(errors.PatchFileError) as refusal:
        canonical_json.decode(data)
    assert type(refusal.value) is error


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, database=None)
@given(_VALUES)
def test_any_value_reads_back(value):
    encoded = canonical_json.encode(value)
    assert canonical_json.decode(encoded) == value
    assert json.loads(encoded) == value
