"""Who may ask, and who may change what is served."""

import contextlib
import http.client
import socket
import stat

import pytest
from starlette.requests import Request

from adapters.serving.access import Access, AccessError
from adapters.serving.errors import HostError, OriginError
from adapters.serving.listening import SocketError
from adapters.store.write import encode_patch
from tests.serving import patches
from tests.serving.loopback import ACCESS, BEARER, ask, served
from tests.serving.questions import OWN, check, pixels_of, png


def request(address="127.0.0.1", **headers):
    raw = [(name.lower().encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": raw, "server": (address, 8080)})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.:80", "127.0.0.1"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:8080", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("10.1.2.3:8080", "10.1.2.3"),
        ("10.1.2.3", "::ffff:10.1.2.3"),
        ("[fd00::1]:8080", "fd00::1"),
        ("shop.example:443", "10.1.2.3"),
    ],
)
def test_a_server_answers_to_its_own_names(host, address):
    Access(hosts=frozenset({"shop.example"})).check(request(address, Host=host))


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "localhost.rebound.example",
        "10.1.2.4",
        "0.0.0.0",
        "",
        "localhost@rebound.example",
        "localhost/",
        "[::1",
        "::1]",
        "shop.example.",
        "\xff",
    ],
)
def test_a_name_that_another_points_here_is_refused(host):
    with pytest.raises(HostError, match="does not answer to the name"):
        Access().check(request("10.1.2.3", Host=host))
    with pytest.raises(HostError):
        Access().check(request("10.1.2.3"))


def test_pages_of_other_sites_may_not_ask_unless_they_are_listed():
    access = Access(origins=frozenset({"https://shop.example"}))
    access.check(request(Host="localhost:8080", Origin="http://localhost:8080"))
    access.check(request(Host="localhost:8080", Origin="https://shop.example"))
    for origin in (
        "https://page.example",
        "null",
        "http://localhost",
        "http://localhost:8080.page.example",
        "http://shop.example",
        "",
    ):
        with pytest.raises(OriginError):
            access.check(request(Host="localhost:8080", Origin=origin))


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": ""},
        {"token": "short"},
        {"token": "with some spaces in it"},
        {"token": "\ufffd" * 32},
        {"hosts": frozenset({"a/b"})},
        {"origins": frozenset({"*"})},
        {"origins": frozenset({"shop.example"})},
        {"origins": frozenset({"https://shop.example/"})},
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_the_start(wrong):
    with pytest.raises(AccessError):
        Access(**wrong)


def test_a_token_is_not_shown():
    assert ACCESS.token not in repr(ACCESS)


CHANGES = [("DELETE", None), ("PUT", encode_patch(patches.contents("a", 77, classes=3)))]


@pytest.mark.parametrize(("method", "body"), CHANGES)
@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({}, 401, "TokenError"),
        ({"Authorization": f"Bearer {ACCESS.token}x"}, 401, "TokenError"),
        ({"Authorization": f"Bearer {ACCESS.token[:-1]}"}, 401, "TokenError"),
        ({"Authorization": f"Basic {ACCESS.token}"}, 401, "TokenError"),
        ({"Authorization": ACCESS.token}, 401, "TokenError"),
        ({"Authorization": "Bearer"}, 401, "TokenError"),
        (BEARER | {"Host": "rebound.example"}, 421, "HostError"),
        (BEARER | {"Origin": "https://page.example"}, 403, "OriginError"),
    ],
)
def test_a_change_needs_the_token(address, method, body, headers, status, error):
    found, said = ask(address, method, "/tasks/a", body, headers)
    assert (found, said["error"]) == (status, error)
    check(ask(address, "POST", "/tasks/a", png(pixels_of(0))), OWN["a"], pixels_of(0))


def test_without_a_token_or_a_socket_nothing_changes(network):
    with served(network, access=Access()) as (address, _):
        for method, body in CHANGES:
            for headers in ({}, BEARER):
                status, said = ask(address, method, "/tasks/a", body, headers)
                assert (status, said["error"]) == (403, "ChangesOffError")
    assert network.task("a").contents is OWN["a"]


class OverSocket(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def test_whoever_may_open_the_socket_changes_tasks_and_others_do_not(network, tmp_path):
    path = tmp_path / "changes"
    new = patches.contents("d", 9)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left_by_a_killed_server:
        left_by_a_killed_server.bind(str(path))
    with served(network, access=Access(), changes=str(path)) as (address, _):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(SocketError, match="another server listens"):
            served(network, changes=str(path)).__enter__()
        assert ask(address, "PUT", "/tasks/d", encode_patch(new))[0] == 403
        connection = OverSocket(str(path), timeout=20)
        with contextlib.closing(connection):
            connection.request("PUT", "/tasks/d", encode_patch(new), {"Host": "any"})
            assert connection.getresponse().read() == b'{"task":"d","version":"1.0.0"}'
            check(ask(address, "POST", "/tasks/d", png(pixels_of(0))), new, pixels_of(0))
            assert ask(address, "DELETE", "/tasks/d")[0] == 403
            connection.request("DELETE", "/tasks/d", headers={"Host": "any"})
            assert connection.getresponse().status == 204
    assert not path.exists()
    path.write_text("a file")
    with pytest.raises(SocketError, match="no socket"):
        served(network, changes=str(path)).__enter__()
    assert path.read_text() == "a file"


def test_only_listed_sites_are_told_that_they_may_read(network, address):
    def asked(where, method, origin):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        connection = http.client.HTTPConnection(*where[:2], timeout=20)
        with contextlib.closing(connection):
            connection.request(method, "/tasks/a", png(pixels_of(0)), headers)
            response = connection.getresponse()
            response.read()
        return response.status, response.headers.get("Access-Control-Allow-Origin")

    listed = "https://shop.example"
    assert asked(address, "OPTIONS", listed) == (405, None)
    assert asked(address, "POST", listed) == (403, None)
    with served(network, access=Access(origins=frozenset({listed}))) as (where, _):
        assert asked(where, "OPTIONS", listed) == (200, listed)
        assert asked(where, "POST", listed) == (200, listed)
        assert asked(where, "OPTIONS", "https://page.example") == (400, None)
        assert asked(where, "POST", "https://page.example") == (403, None)


@pytest.mark.parametrize("path", ["/tasks/", "/health/", "/tasks/a/"])
def test_nothing_is_answered_with_the_name_that_a_client_says(address, path):
    connection = http.client.HTTPConnection(*address[:2], timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": "rebound.example"})
        response = connection.getresponse()
        assert response.status == 404
        assert b"rebound" not in response.read() + str(response.headers).encode()
