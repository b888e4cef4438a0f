"""Refusals as a client reads them: a status, and JSON that says what was wrong and what to do."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.files import NotDurableError, NotWrittenError
from adapters.serving.batching import BusyError, ClosedError
from adapters.serving.errors import (
    ChangesOffError,
    HostError,
    MediaTypeError,
    NoPictureError,
    OriginError,
    SignedPatchError,
    TokenError,
    TooMuchError,
    TooSlowError,
)
from adapters.serving.network import FullError
from adapters.store.folder_lock import StoreInUseError
from adapters.store.installed import NotInstalledError

_STATUS: Sequence[tuple[type[ModelPatchError], int]] = (
    (TokenError, 401),
    (ChangesOffError, 403),
    (OriginError, 403),
    (SignedPatchError, 403),
    (UnknownNameError, 404),
    (NotInstalledError, 404),
    (NoPictureError, 406),
    (TooSlowError, 408),
    (FullError, 409),
    (TooMuchError, 413),
    (MediaTypeError, 415),
    (HostError, 421),
    (BusyError, 503),
    (ClosedError, 503),
    (StoreInUseError, 503),
    (NotWrittenError, 507),
    (NotDurableError, 507),
    (ModelPatchError, 422),
)


def refused(error: ModelPatchError) -> Response:
    """What a client is told of an error of ours."""
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    return _refusal(status, type(error).__name__, str(error))


def failed() -> Response:
    """What a client is told of a defect."""
    return _refusal(500, "Error", "the server failed; its log says how.")


async def not_there(_: Request, error: Exception) -> Response:
    """What a client is told of a path or a method that does not exist."""
    assert isinstance(error, HTTPException)
    response = _refusal(error.status_code, "HTTPException", f"{error.detail}: see docs/serving.md.")
    response.headers.update(error.headers or {})
    return response


_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}


def _refusal(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"error": kind, "message": message}, status, _HEADERS.get(status))
