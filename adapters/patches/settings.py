"""Checks of what a patch is made with."""

from adapters.errors import ModelPatchError
from adapters.patches.contract import Patch


class PatchSettingError(ModelPatchError):
    """A setting of a patch out of its range."""


def check_patch(patch: object) -> None:
    """Raises PatchSettingError unless `patch` is a Patch, and not what makes one."""
    if not isinstance(patch, Patch):
        name = getattr(patch, "__name__", None)
        hint = f"call it: {name}()" if callable(patch) and name else "scale_bias(), say"
        raise PatchSettingError(
            f"{name or repr(patch)} is a {type(patch).__name__}, no Patch; {hint}.",
            settings=["patch"],
        )


def check_setting(name: str, value: object, holds: bool, allowed: str) -> None:
    """Raises PatchSettingError unless `holds`."""
    if not holds:
        raise PatchSettingError(f"the patch's setting {name}={value} must be {allowed}.")
