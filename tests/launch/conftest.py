"""Commands under test know the narrow backbone by name; no other test does."""

import pytest

from adapters.backbones import registry
from tests import narrow


@pytest.fixture(scope="package", autouse=True)
def _the_narrow_backbone_by_name():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
        yield
