"""A real server on this machine's loopback, in a thread, and questions to it."""

import contextlib
import functools
import http.client
import json
import threading
import time

from adapters.serving import app
from adapters.serving.access import Access
from adapters.serving.installing import InMemory
from adapters.serving.limits import Limits
from adapters.serving.listening import Server
from adapters.store.read import decode_patch
from tests.serving import patches

LIMITS = Limits(image_bytes=20_000, patch_bytes=60_000, pixels=10_000, queue=64, answers=2)
ACCESS = Access(token="a-token-of-these-tests")
BEARER = {"Authorization": f"Bearer {ACCESS.token}"}
SHAPES = {
    path: {name: leaf.shape for name, leaf in leaves.items()}
    for path, leaves in patches.WEIGHTS.items()
}
READ = functools.partial(
    decode_patch, shapes=SHAPES, features=patches.FEATURES, fingerprint="0" * 64
)


@contextlib.contextmanager
def served(network, limits=LIMITS, access=ACCESS, changes=None, installer=None):
    """(host and port, the server) of a server in a thread, which has ended after the block."""
    installer = installer or InMemory(network, READ)
    server = Server(app.application(network, installer, limits, access), limits, changes=changes)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname(), server
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def ask(address, method, path, body=None, headers=None, source=None):
    """Status and body of an answer; `source` is the address that the client has."""
    own = None if source is None else (source, 0)
    connection = http.client.HTTPConnection(*address[:2], timeout=20, source_address=own)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        data = response.read()
    if response.headers.get("Content-Type") == "application/json":
        data = json.loads(data)
    return response.status, data
