"""Checks of what a patch is made with."""

from adapters.errors import ModelPatchError


class PatchSettingError(ModelPatchError):
    """A setting of a patch out of its range."""


def check_setting(name: str, value: object, holds: bool, allowed: str) -> None:
    """Raises PatchSettingError unless `holds`."""
    if not holds:
        raise PatchSettingError(f"the patch's setting {name}={value} must be {allowed}.")
