import itertools

import pytest

from adapters.store import errors
from adapters.store.versions import check_not_older, version_key

RISING = ["0", "0.0.1", "0.9", "0.10", "1", "1.0.1", "1.2.9", "1.2.10", "1.10", "2.0.0.1", "10"]


def test_versions_rise_by_number_and_not_by_text():
    keys = [version_key(version) for version in RISING]
    assert all(first < second for first, second in itertools.pairwise(keys))
    for low, high in itertools.combinations(RISING, 2):
        check_not_older(high, low)
        with pytest.raises(errors.OlderVersionError, match=f"version {low}, {high} was installed"):
            check_not_older(low, high)


@pytest.mark.parametrize(("one", "other"), [("1", "1.0.0"), ("1.2", "1.2.0"), ("0", "0.0")])
def test_zeros_at_the_end_say_nothing(one, other):
    assert version_key(one) == version_key(other)
    check_not_older(one, other)
    check_not_older(other, one)


@pytest.mark.parametrize(
    "version",
    ["", "1.", ".1", "1..2", "v1", "1.0rc1", "01.0", "1.2.3.4.5", "-1", "1 ", "1\n", "²", "9" * 10],
)
def test_what_has_no_order_is_refused(version):
    with pytest.raises(errors.VersionError, match="not one to four numbers"):
        version_key(version)
