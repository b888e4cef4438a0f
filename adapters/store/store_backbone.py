"""Which backbone a store belongs to: whatever is installed later is checked against the same one.

The first installation says it. Without that, each patch would choose what it is checked against,
and patches for two backbones could lie in one store, of which a device runs only one.
"""

import dataclasses
import re
from typing import Any

from adapters.errors import ModelPatchError
from adapters.store.errors import PatchFileError
from adapters.store.sealed import seal, unseal

_SCHEMA = 1
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class StoreBackboneError(ModelPatchError):
    """What a store remembers of its backbone is damaged or written by a later version."""

    def __init__(self, path: str, reason: str):
        super().__init__(
            f"{path}: {reason}. Nothing can be installed. Upgrade modelpatch if a later version "
            "wrote it; otherwise delete this file and install the latest patch again, naming "
            "its backbone.",
            settings=["backbone"],
        )
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type["StoreBackboneError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class OtherBackboneError(ModelPatchError):
    """A store was opened for another backbone than its patches are for."""


@dataclasses.dataclass(frozen=True)
class StoreBackbone:
    """The backbone of all patches of a store.

    Attributes:
      name: as it was asked for; what to call it, and what to load.
      fingerprint: of its weights; what it is.
    """

    name: str
    fingerprint: str


def encode_backbone(backbone: StoreBackbone) -> bytes:
    """The bytes of its file."""
    return seal({"schema": _SCHEMA, **dataclasses.asdict(backbone)})


def decode_backbone(data: bytes, path: str) -> StoreBackbone:
    """The backbone whose file at `path` holds `data`; raises StoreBackboneError for any other."""
    try:
        return _understood(unseal(data))
    except PatchFileError as error:
        raise StoreBackboneError(path, f"the file is damaged: {error.reason}") from error
    except TypeError as error:
        raise StoreBackboneError(path, f"the file cannot be understood: {error}") from error


def _understood(value: Any) -> StoreBackbone:
    if not isinstance(value, dict) or value.pop("schema", None) != _SCHEMA:
        raise TypeError(f"it does not follow schema {_SCHEMA}")
    backbone = StoreBackbone(**value)
    if not isinstance(backbone.name, str):
        raise TypeError(f"{backbone.name!r} is no name")
    if not isinstance(backbone.fingerprint, str) or not _FINGERPRINT.fullmatch(
        backbone.fingerprint
    ):
        raise TypeError(f"{backbone.fingerprint!r} is no fingerprint")
    return backbone
