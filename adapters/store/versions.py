"""How the versions of a task are ordered: number by number, as in 1.9.0 < 1.10.0."""

import re

from adapters.store.errors import OlderVersionError, VersionError, shown

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{_NUMBER}(\.{_NUMBER}){{0,3}}")


def version_key(version: str) -> tuple[int, ...]:
    """What versions are compared by: their numbers, without zeros at the end, so 1.2 is 1.2.0.

    Raises VersionError unless `version` is one to four whole numbers below 10**9 with dots between
    them and no zero in front. Words such as `rc1` have no order that all agree on.
    """
    if not _VERSION.fullmatch(version):
        raise VersionError(f"the version is {shown(version)}, not one to four numbers")
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def check_not_older(version: str, highest: str) -> None:
    """Raises OlderVersionError when `version` is below `highest`, the highest installed so far.

    The same version again is allowed: it is the task's, and a patch for it may be trained anew.
    """
    if version_key(version) < version_key(highest):
        raise OlderVersionError(f"the patch is of version {version}, {highest} was installed here")
