"""One network and one server for all tests that leave them as they were."""

import pytest

from adapters.serving.network import MixedNetwork
from tests import narrow
from tests.serving import patches
from tests.serving.loopback import served
from tests.serving.questions import OWN


@pytest.fixture(scope="session")
def network():
    """Compiled, with the tasks of `OWN`."""
    network = MixedNetwork(narrow.BACKBONE, patches.WEIGHTS, [narrow.SIZE], 4, (1, 4))
    for contents in OWN.values():
        network.add(contents)
    network.compile()
    return network


@pytest.fixture(scope="session")
def address(network):
    """Of a server whose tasks change for who brings `BEARER`."""
    with served(network) as (found, _):
        yield found
