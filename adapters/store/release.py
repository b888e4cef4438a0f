"""What a maker says of one release of a patch, in the signature beside it.

A counter orders the files of a task, whatever their versions: a version is for people, and two
builds of one version are told apart by nothing else. By default it is the time of signing. After
The Update Framework (TUF, https://theupdateframework.github.io/specification/latest/): counters
against rolling back and endless data, `expires` against a freeze; going back, which TUF leaves to
new root keys, is a list of releases that a later statement takes back.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from adapters.store import canonical_json
from adapters.store.errors import ExpiredError, OlderReleaseError, PatchFileError, ReleaseError

LARGEST = 2**53 - 1
# Seconds since 1970 are below this until 2106, so any first release may be a time. Whoever signs a
# wrong number can sign two million later ones before nothing is left.
STEP = 2**32
MOST_WITHDRAWN = 256  # that are remembered of a task
_LATEST = 2**37  # of times that a release expires at; calendars go up to there
_MOST_NAMED = 32  # by one statement


@dataclasses.dataclass(frozen=True)
class Release:
    """One release of a task's patch.

    Attributes:
      number: higher than that of every release before.
      expires: seconds since 1970, after which a later one should have come; None where nobody says.
      withdraws: numbers of releases that were wrong. Where one of them is the highest that was
        installed, this release follows it though its number is lower; none of them is installed any
        more.

    Raises ReleaseError.
    """

    number: int
    expires: int | None = None
    withdraws: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for number in (self.number, *self.withdraws):
            if not _is_count(number) or number == 0:
                raise ReleaseError(f"a release has the number {number!r}, not 1 to {LARGEST}")
        if self.expires is not None and not (_is_count(self.expires) and self.expires < _LATEST):
            raise ReleaseError(f"a release expires at {self.expires!r}, which is no time")
        if len(self.withdraws) > _MOST_NAMED or self.number in self.withdraws:
            raise ReleaseError(f"a release takes back up to {_MOST_NAMED} others, and not itself")

    def expired(self, now: float) -> ExpiredError | None:
        """Why it is not installed at `now`, in seconds since 1970; None where it is."""
        if self.expires is None or now <= self.expires:
            return None
        until = datetime.datetime.fromtimestamp(self.expires, datetime.UTC)
        return ExpiredError(f"its maker vouched for the patch until {until:%Y-%m-%d %H:%M} UTC")


@dataclasses.dataclass(frozen=True)
class Counted:
    """What is remembered of a task's releases.

    Attributes:
      number: the highest that was installed.
      sha256: of its file.
      withdrawn: those that were taken back.
    """

    number: int
    sha256: str
    withdrawn: tuple[int, ...] = ()


def encode_release(release: Release, sha256: str) -> bytes:
    """The statement, canonical JSON in ASCII, that the file with this sha256 is that release."""
    value: dict[str, Any] = {"release": release.number, "sha256": sha256}
    if release.expires is not None:
        value["expires"] = release.expires
    if release.withdraws:
        value["withdraws"] = list(release.withdraws)
    return canonical_json.encode(value)


def decode_release(statement: bytes) -> tuple[Release, str]:
    """The release, and the sha256 of its file, of a statement. Raises ReleaseError."""
    try:
        value = canonical_json.decode(statement)
    except PatchFileError as error:
        raise ReleaseError(f"the statement cannot be read: {error.reason}") from error
    known = {"release", "sha256", "expires", "withdraws"}
    if not isinstance(value, Mapping) or not {"release", "sha256"} <= value.keys() <= known:
        raise ReleaseError("the statement says something that is not known here")
    withdraws = value.get("withdraws", [])
    if not isinstance(withdraws, list) or not isinstance(value["sha256"], str):
        raise ReleaseError("the statement cannot be understood")
    return Release(value["release"], value.get("expires"), tuple(withdraws)), value["sha256"]


def followed(counted: Counted | None, release: Release, sha256: str) -> Counted:
    """What is remembered once the file with `sha256` is installed as `release`.

    Raises OlderReleaseError for a release that does not follow the highest one, and ReleaseError
    for a step that only a mistake can be.
    """
    highest = 0 if counted is None else counted.number
    withdrawn = () if counted is None else counted.withdrawn
    if release.number in withdrawn:
        raise OlderReleaseError(f"its maker took release {release.number} back")
    if counted is not None and highest not in release.withdraws:
        if release.number < highest:
            raise OlderReleaseError(f"this is release {release.number}, {highest} was installed")
        if release.number == highest and sha256 != counted.sha256:
            raise OlderReleaseError(f"another file was installed as release {highest}")
    if release.number > highest + STEP:
        raise ReleaseError(f"release {release.number} is too far above {highest} to be meant")
    remembered = tuple(sorted({*withdrawn, *release.withdraws}))
    if len(remembered) > MOST_WITHDRAWN:
        raise ReleaseError(f"more than {MOST_WITHDRAWN} releases would be taken back")
    return Counted(release.number, sha256, remembered)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST
