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
    return json.dumps(_plain(value, 0), sort_keys=True, separators=(",", ":")).encode("ascii")


def decode(data: bytes) -> Any:
    """The value whose canonical encoding is `data`.

    Raises JSONError, DuplicateKeyError, or NotCanonicalError for another spelling of the value.
    """
    try:
        value = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise errors.JSONError(f"the header holds a non-ASCII byte at {error.start}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise errors.JSONError(f"the header is not JSON: {error}") from None
    if encode(value) != data:
        raise errors.NotCanonicalError("the header is JSON, but not spelled canonically")
    return value


def _plain(value: Any, depth: int) -> Any:
    """`value` made of dict, list, str, int, float, bool and None alone; anything else raises."""
    if depth == MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        raise _too_deep()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise errors.JSONError("an integer lies beyond 2**53 - 1")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise errors.JSONError(f"{float(value)} is not a finite number")
        return float(value)
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    raise errors.JSONError(f"JSON holds no {type(value).__name__}")


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise errors.JSONError(f"a JSON key must be a string, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise errors.JSONError(f"{text!r} holds half of a surrogate pair") from None
    return str(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise errors.DuplicateKeyError(f"the key {key!r} stands twice in one JSON object")
        value[key] = item
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise errors.JSONError(f"{name} is not a finite number")


def _too_deep() -> errors.JSONError:
    return errors.JSONError(f"JSON nested more than {MAX_DEPTH} levels deep")
