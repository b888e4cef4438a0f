"""What a request brings: a file, as its whole body or in a form, and the form's fields."""

import asyncio
import collections
import contextlib
import re
from collections.abc import AsyncIterator

from starlette.requests import Request

from adapters.serving import forms
from adapters.serving.batching import BusyError
from adapters.serving.clients import client_of
from adapters.serving.errors import MediaTypeError, TooMuchError, TooSlowError
from adapters.serving.forms import Form
from adapters.serving.limits import Limits

_LOOKED_AT = 256  # bytes of a file's beginning
# What people send in place of a file; none can be the beginning of one that is taken here.
_WRAPPED = {
    "JSON": rb'\s*[{\[]\s*["{\[\d}\]]',
    "a data URL": rb"data:[\w/+.-]*[;,]",
    "base64": rb"[A-Za-z0-9+/_-]{16}[A-Za-z0-9+/_=\r\n-]*\Z",
    "gzip": rb"\x1f\x8b\x08",
    "a form whose Content-Type is missing": rb"--[^\r\n]{1,70}\r\nContent-Disposition:",
    "a form of text": rb"[\w.\[\]-]{1,64}=[!-~]*\Z",
    "a PNG file that lost its line ends": rb"\x89PNG\x1a",
}
_KINDS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _WRAPPED.items()}


class Bodies:
    """Bodies on their way, and how many bytes of them there are.

    Args:
      limits: of all at once, of one client's, and of the time that one may take.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._held: collections.Counter[str] = collections.Counter()

    @property
    def held(self) -> int:
        """Bytes that are on their way now."""
        return self._held.total()

    @contextlib.asynccontextmanager
    async def read(self, request: Request, limit: int) -> AsyncIterator[Form]:
        """The file that came, and the fields beside it; their bytes count until the block ends.

        Args:
          request: whose body has not been read yet.
          limit: bytes of the body, a form's own among them.

        Raises TooMuchError, TooSlowError, FormError; MediaTypeError for what is no file but holds
        one; BusyError where there are too many bytes already.
        """
        coding = request.headers.get("Content-Encoding", "identity")
        if coding.strip().lower() != "identity":
            raise _wrapped(f"compressed ({coding[:50]})")
        client = client_of(request.client)
        body = bytearray()
        try:
            await self._fill(body, request, client, limit)
            yield _unwrapped(bytes(body), request.headers.get("Content-Type", ""))
        finally:
            self._held[client] -= len(body)
            self._held += collections.Counter()  # without those who hold none

    async def _fill(self, body: bytearray, request: Request, client: str, limit: int) -> None:
        # Nobody needs to send, or be waited for, what is too large by its own account.
        _check_length(int(request.headers.get("Content-Length", 0)), limit)
        seconds, most = self._limits.body_seconds, self._limits.bytes_in_flight
        try:
            async with asyncio.timeout(seconds):
                async for part in request.stream():
                    body += part
                    self._held[client] += len(part)
                    _check_length(len(body), limit)
                    full = self.held > most or self._held[client] > most // 2
                    if full and self.held > len(body):  # one alone always may
                        raise BusyError("too many bytes are on their way; try again later.")
        except TimeoutError:
            raise TooSlowError(f"the body took longer than {seconds:g} s: send it again.") from None


def _unwrapped(body: bytes, content_type: str) -> Form:
    form = forms.parse(body, content_type) if forms.is_form(content_type) else Form(body, {})
    for kind, pattern in _KINDS.items():
        if pattern.match(form.file[:_LOOKED_AT]):
            raise _wrapped(kind)
    return form


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise TooMuchError(f"the body is larger than {limit:,} bytes: send a smaller file.")


def _wrapped(came: str) -> MediaTypeError:
    return MediaTypeError(
        f"the body is {came}; send the file's own bytes: `curl --data-binary @FILE`, or a form "
        "with the file in it: `curl -F image=@FILE`."
    )
