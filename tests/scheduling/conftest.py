"""What these tests share."""

import json

import pytest


@pytest.fixture(scope="session")
def json_again():
    """A state as a checkpoint gives it back."""
    return lambda state: json.loads(json.dumps(state))
