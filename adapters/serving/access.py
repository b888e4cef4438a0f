"""Who may ask a server for what: the names it answers to, the pages it listens to, and a token.

A browser sends a page's requests to any address, this machine's own among them, and says two things
about them: under which name it found the server (`Host`), and from where the page is (`Origin`).
A name that a stranger's name server points here is refused by the first, and another site's page by
the second.
"""

import dataclasses
import hashlib
import hmac
import ipaddress
import re
import urllib.parse

from starlette.requests import Request

from adapters.errors import ModelPatchError
from adapters.serving.errors import ChangesOffError, HostError, OriginError, TokenError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]/@]+))(?::\d+)?")
_TOKEN = re.compile(r"[!-~]{16,}")
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")


class AccessError(ModelPatchError):
    """A token that could be guessed, or a name or an origin that no request can have."""


@dataclasses.dataclass(frozen=True)
class Access:
    """What a server asks of whoever asks it.

    Attributes:
      token: whoever brings it may change what is served; without one nobody may over the network.
        Whoever may open a Unix socket that the server listens at needs none.
      hosts: names of the server, beside those of the loopback and the address that was asked.
      origins: of web pages that may ask, such as `https://shop.example`. A page of the server's own
        name always may.

    Raises AccessError.
    """

    token: str | None = dataclasses.field(default=None, repr=False)
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise AccessError(
                "a token must be 16 or more letters, digits and signs without spaces: make one, "
                "with `openssl rand -hex 32` say.",
                settings=["changes_token"],
            )
        for host in self.hosts:
            if _name(host) is None:
                raise AccessError(
                    f"{host!r} is no name of a server: give shop.example, say.", settings=["hosts"]
                )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise AccessError(
                    f"{origin!r} is no origin of web pages: give https://shop.example, say.",
                    settings=["origins"],
                )

    def check(self, request: Request) -> None:
        """Whether this client may ask at all. Raises HostError or OriginError."""
        if _over_socket(request):
            return  # no browser comes that way
        host = request.headers.get("Host", "")
        asked = request.scope.get("server") or ("", None)
        names = {_name(name) for name in (*LOOPBACK, *self.hosts, asked[0])}
        if _name(host) is None or _name(host) not in names:
            raise HostError(
                f"this server does not answer to the name {host[:100]!r}: ask it by its address, "
                "or start it with that name among its hosts.",
                settings=["hosts"],
            )
        origin = request.headers.get("Origin")
        if origin is None or origin in self.origins:
            return
        if urllib.parse.urlsplit(origin).netloc != host:
            raise OriginError(
                f"pages of {origin[:100]} may not ask this server: start it with that among its "
                "origins.",
                settings=["origins"],
            )

    def check_change(self, request: Request) -> None:
        """Whether this client may change what is served. Raises ChangesOffError or TokenError."""
        if _over_socket(request):
            return
        if self.token is None:
            raise ChangesOffError(
                "nobody may change this server's tasks over the network: start it with a token or "
                "a socket for changes.",
                settings=["changes_token", "changes_socket"],
            )
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(_digest(given.strip()), _digest(self.token))
        if scheme.lower() != "bearer" or not same:
            raise TokenError(
                "changing tasks needs this server's token, in the header "
                "`Authorization: Bearer TOKEN`."
            )


def _over_socket(request: Request) -> bool:
    """Whether a request came over a Unix socket, whose address is a path without a port."""
    server = request.scope.get("server")
    return server is not None and server[1] is None


def _digest(text: str) -> bytes:
    """As long for any text, so that a comparison tells nothing of a token's length either."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _name(host: str) -> str | None:
    """A host without its port, spelled in one way; None for what cannot be one."""
    if ":" in host and not host.startswith("[") and host.count(":") > 1:
        host = f"[{host}]"
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    name = (found[1] or found[2]).lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
