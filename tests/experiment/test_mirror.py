"""A run on object storage: a store in memory, reached as any other."""

import pathlib

import fsspec
import pytest
from etils.epath.backend import fsspec_backend

import adapters
from adapters.experiment.mirror import Mirror, StorageError, is_address
from adapters.experiment.output import OutputFolderError, claimed
from adapters.training import metrics
from adapters.training.checkpoint import ConfigurationMismatchError
from tests.experiment.test_fit import FEW

ADDRESS = "gs://bucket/run"
SHORT = FEW | {"steps": 4, "validations": 0}


@pytest.fixture
def store(monkeypatch):
    """What the bucket holds, and in which order it came: {name: bytes}."""
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(fsspec_backend, "_get_filesystem", lambda name: memory)
    prefix = f"{ADDRESS}/"

    def held():
        return {
            name.removeprefix(prefix): memory.cat_file(name)
            for name in memory.store
            if name.startswith(prefix)
        }

    yield held
    memory.store.clear()


def write(folder, texts):
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_vouches_comes_last_and_goes_first(store, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    texts = {"results.csv": "1", "step/SHA256SUMS": "2", "step/arrays/a": "3", "step/state": "4"}
    write(first, texts)
    (first / ".lock").write_text("process 1")
    mirror = Mirror(ADDRESS, first)
    mirror.push()
    assert list(store()) == ["step/arrays/a", "step/state", "results.csv", "step/SHA256SUMS"]
    (first / "step" / "SHA256SUMS").unlink()
    (first / "results.csv").write_text("5")
    mirror.push()
    assert store() == {"results.csv": b"5", "step/arrays/a": b"3", "step/state": b"4"}
    second.mkdir()
    Mirror(ADDRESS, second).fetch()
    assert (second / "step" / "arrays" / "a").read_text() == "3"
    found = sorted(path.name for path in second.rglob("*") if path.is_file())
    assert found == ["a", "results.csv", "state"]


class Killed(BaseException):
    """Stands for a kill."""


def test_a_killed_run_goes_on_elsewhere_from_what_was_copied(pictures, store):
    def kill(record):
        if record.step == 3:
            raise Killed

    with pytest.raises(Killed):
        adapters.fit(pictures, directory=ADDRESS, on_record=kill, **SHORT)
    assert {name.split("/")[0] for name in store()} >= {"run.json", "metrics.jsonl", "checkpoints"}
    with pytest.raises(ConfigurationMismatchError, match=f"{ADDRESS}/run.json was written by"):
        adapters.fit(pictures, directory=ADDRESS, resume=True, **SHORT | {"seed": 1})
    steps = []
    fitted = adapters.fit(
        pictures,
        directory=ADDRESS,
        resume=True,
        on_record=lambda record: steps.append(record.step),
        **SHORT,
    )
    assert steps == [4]
    held = store()
    assert held["arrays.patch"] == (fitted.directory / "arrays.patch").read_bytes()
    assert list(held)[-1] == "results.csv"
    logged = metrics.read(fitted.directory / "metrics.jsonl")
    assert [record.step for record in logged] == [1, 2, 3, 4]


def test_a_store_that_cannot_be_reached_is_said(pictures, monkeypatch):
    def missing(name):
        raise ImportError("Please install gcsfs")

    monkeypatch.setattr(fsspec_backend, "_get_filesystem", missing)
    with pytest.raises(StorageError, match=r"gs://bucket/run cannot be reached: .*gcsfs"):
        adapters.fit(pictures, directory=ADDRESS, **SHORT)


def test_only_training_writes_there():
    assert not is_address("out/run")
    assert is_address("s3://bucket/run")
    with (
        pytest.raises(OutputFolderError, match="gs:/bucket/run is on object storage"),
        claimed(pathlib.Path(ADDRESS), {}, resume=False, overwrite=False),
    ):
        pass
