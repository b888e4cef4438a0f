"""The example of a proxy in docs/serving.md, as it is printed. Needs nginx, Debian's say."""

import contextlib
import datetime
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.serving.access import Access
from tests.imports import ROOT
from tests.serving.loopback import BEARER, served
from tests.serving.questions import OWN, check, figure, pixels_of, png, wait_until

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
NAME = "shop.example"
AROUND = """daemon off; pid {0}/pid; error_log {0}/log; worker_processes 1;
events {{}}
http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy;
fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;
{1} }}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx")


def write_certificate(path, key_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now.replace(year=2099))
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@contextlib.contextmanager
def proxied(folder, port):
    """The port of nginx before a server at `port`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        own = probe.getsockname()[1]
    text = (ROOT / "docs" / "serving.md").read_text()
    (example,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    for printed, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{own} ssl"),
        ("/etc/ssl/", f"{folder}/"),
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
    ):
        assert printed in example
        example = example.replace(printed, here)
    write_certificate(folder / "shop.pem", folder / "shop.key")
    (folder / "nginx.conf").write_text(AROUND.format(folder, example))
    with subprocess.Popen([NGINX, "-c", folder / "nginx.conf"]) as process:
        try:
            wait_until(lambda: listens(own))
            yield own
        finally:
            process.terminate()


def listens(port):
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True


def ask(port, method, path, body=None, host=NAME):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Host": host, **BEARER})
        response = connection.getresponse()
        return response.status, response.read(), response.headers.get("Location")


def test_the_printed_example_lets_questions_through_and_nothing_else(network, tmp_path):
    access = Access(BEARER["Authorization"].partition(" ")[2], frozenset({NAME}))
    image = png(pixels_of(0))
    with (
        served(network, access=access) as (address, _),
        proxied(tmp_path, address[1]) as port,
    ):
        status, said, _ = ask(port, "POST", "/tasks/a", image)
        check((status, json.loads(said)), OWN["a"], pixels_of(0))
        for method in ("PUT", "DELETE"):  # though the token is right
            assert ask(port, method, "/tasks/a", image)[0] == 403
        assert ask(port, "GET", "/metrics")[0] == ask(port, "GET", "/health")[0] == 404
        assert ask(port, "POST", "/tasks/a", image, "evil.example")[0] == 421
        assert ask(port, "GET", "/tasks", None, "evil.example")[2] == "/tasks/"
        assert ask(port, "POST", "/tasks/a", bytes(11_000_000))[0] == 413
        # A body that comes drop by drop is the proxy's business until it is whole.
        before = figure(address, "modelpatch_body_bytes")
        context = ssl._create_unverified_context()
        with socket.create_connection(("127.0.0.1", port)) as one, context.wrap_socket(one) as slow:
            head = f"POST /tasks/a HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(image)}\r\n\r\n"
            slow.sendall(head.encode() + image[:100])
            assert ask(port, "POST", "/tasks/a", image)[0] == 200
            assert figure(address, "modelpatch_body_bytes") == before == 0
            slow.sendall(image[100:])
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
