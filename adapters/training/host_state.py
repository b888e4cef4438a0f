"""The host's part of a training state as JSON: plain values, and bytes at any depth."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from adapters import errors

_BYTES = "$bytes"


class HostStateError(errors.ModelPatchError):
    """A value of the host's state or of the configuration cannot be stored as it is."""


def encode(value: Any, path: str = "host") -> Any:
    """`value` as JSON values, bytes as `{"$bytes": base64}`; `decode` gives an equal value back.

    Raises HostStateError, naming the place, for whatever JSON would change silently: tuples,
    keys that are not strings, numpy scalars.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    if isinstance(value, list):
        return [encode(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == _BYTES:
                raise HostStateError(f"{path} has the key {key!r}, which cannot be stored")
        return {key: encode(item, f"{path}[{key!r}]") for key, item in value.items()}
    raise HostStateError(f"{path} is a {type(value).__name__}, which cannot be stored")


def decode(value: Any) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            return base64.b64decode(value[_BYTES], validate=True)
        return {key: decode(item) for key, item in value.items()}
    return value


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` as JSON gives it back: tuples become lists.

    Raises HostStateError for what JSON lacks.
    """
    result: dict[str, Any] = json.loads(json.dumps(value, default=_refuse))
    return result


def _refuse(value: Any) -> Any:
    raise HostStateError(f"the configuration holds a {type(value).__name__}: {value!r}")
