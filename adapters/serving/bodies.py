"""What a request brings: a file, as its whole body or in a form, and the form's fields."""

import asyncio
import re

from starlette.requests import Request

from adapters.serving import forms
from adapters.serving.errors import MediaTypeError, TooMuchError, TooSlowError
from adapters.serving.forms import Form

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


async def read(request: Request, limit: int, seconds: float) -> Form:
    """The file that came, and the fields beside it.

    Args:
      request: whose body has not been read yet.
      limit: bytes of the body, a form's own among them.
      seconds: that it may take to arrive.

    Raises TooMuchError, TooSlowError, FormError, or MediaTypeError for what is no file but holds
    one.
    """
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() != "identity":
        raise _wrapped(f"compressed ({coding[:50]})")
    body = await _bytes(request, limit, seconds)
    content_type = request.headers.get("Content-Type", "")
    form = forms.parse(body, content_type) if forms.is_form(content_type) else Form(body, {})
    for kind, pattern in _KINDS.items():
        if pattern.match(form.file[:_LOOKED_AT]):
            raise _wrapped(kind)
    return form


async def _bytes(request: Request, limit: int, seconds: float) -> bytes:
    # Nobody needs to send, or be waited for, what is too large by its own account.
    _check_length(int(request.headers.get("Content-Length", 0)), limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                body += part
                _check_length(len(body), limit)
    except TimeoutError:
        raise TooSlowError(f"the body took longer than {seconds:g} s: send it again.") from None
    return bytes(body)


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise TooMuchError(f"the body is larger than {limit:,} bytes: send a smaller file.")


def _wrapped(came: str) -> MediaTypeError:
    return MediaTypeError(
        f"the body is {came}; send the file's own bytes: `curl --data-binary @FILE`, or a form "
        "with the file in it: `curl -F image=@FILE`."
    )
