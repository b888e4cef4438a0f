"""One spelling for every JSON value, so that equal values are equal bytes.

Keys are sorted by code point, nothing but the structure is written (no spaces), all beyond ASCII
is escaped, floats are the shortest digits that read back to the same number (Python's `repr`).
Integers stay within plus or minus 2**53 - 1, which every language reads exactly.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from adapters.store import errors

MAX_DEPTH = 16
_LARGEST_INTEGER = 2**53 - 1


def encode(value: Any) -> bytes:
    """The canonical bytes of a value of None, bool, int, finite float, str, list, tuple, mapping.

    Raises JSONError for anything else, for a non-string key and for more than `MAX_DEPTH` levels.
    """
    return _spelled(value).encode("ascii")


def decode(data: bytes | str) -> Any:
    """The value whose canonical encoding is `data`, or its ASCII text.

    Raises JSONError, DuplicateKeyError, or NotCanonicalError for another spelling of the value.
    """
    if not data.isascii():
        raise errors.JSONError("the header holds a character beyond ASCII")
    text = data if isinstance(data, str) else data.decode("ascii")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise errors.JSONError(f"the header is not JSON: {error}") from None
    if _spelled(value) != text:
        raise errors.NotCanonicalError("the header is JSON, but not spelled canonically")
    return value


def _spelled(value: Any) -> str:
    _check(value, 0)
    # Checked and then written as it is, since a copy of a hostile header would be most of the
    # memory that reading it takes. Mappings that are no dict are given to `default`.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)


def _check(value: Any, depth: int) -> None:
    """Raises JSONError unless `value` is of mappings, lists, texts and finite numbers alone."""
    if depth == MAX_DEPTH and isinstance(value, list | tuple | Mapping):
        raise _too_deep()
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise errors.JSONError("an integer lies beyond 2**53 - 1")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise errors.JSONError(f"{float(value)} is not a finite number")
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    else:
        raise errors.JSONError(f"JSON holds no {type(value).__name__}")


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise errors.JSONError(f"a JSON key must be a string, not {type(text).__name__}")
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise errors.JSONError(f"{errors.shown(text)} holds half of a surrogate pair") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise errors.DuplicateKeyError(
                f"the key {errors.shown(key)} stands twice in one JSON object"
            )
        value[key] = item
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise errors.JSONError(f"{name} is not a finite number")


def _too_deep() -> errors.JSONError:
    return errors.JSONError(f"JSON nested more than {MAX_DEPTH} levels deep")
