"""The tiny patch that `make_patches` spells out by hand, as contents and as a file."""

import pathlib

import numpy as np
import pytest

from adapters.store import signature
from adapters.store.contents import Parity, PatchContents
from tests.store import make_patches, toy_store


@pytest.fixture
def contents() -> PatchContents:
    return PatchContents(
        task="tiny",
        task_version="1.0.0",
        patch="scale_bias",
        backbone="tiny_backbone",
        fingerprint="0123456789abcdef" * 4,
        norm="frozen",
        labels=("cat", "d\u00f6g"),
        metric="accuracy",
        scores={"validation": 0.625, "test": 0.5},
        preprocessing={"size": 8, "fit": "crop", "mean": (127.5, 127.5, 127.5)},
        parity=Parity(seed=7, shape=(8, 8, 3), logits=(0.25, -1.5), tolerance=1e-3),
        edits={
            "replace": {
                "stem/norm": {"mean": np.float32([-0.0, 3.25])},
                "block_02/expand/norm": {
                    "scale": np.float32([1.5, 2.0]),
                    "offset": np.float32([0.5, -0.5]),
                },
            }
        },
        head={
            "w": np.arange(6, dtype=np.float32).reshape(3, 2),
            "b": np.float32([0.125, -0.125]),
        },
    )


@pytest.fixture
def good() -> bytes:
    return make_patches.assemble(make_patches.CARD, make_patches.TENSORS)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "tiny.patch"


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder of a store."""
    return tmp_path / "store"


@pytest.fixture
def install(tmp_path, root):
    """Installs `toy_store.patch(number, version, ...)`, signed with `key` if there is one."""

    def call(number, version="1.0.0", key=None, trusted=None, **fields):
        content = toy_store.patch(number, version, **fields)
        path = toy_store.write(tmp_path / "incoming", content)
        beside = signature.signature_path(path)
        beside.unlink(missing_ok=True)
        if key is not None:
            beside.write_bytes(signature.sign(content, key))
        return toy_store.store(root, trusted, accept_unsigned=True).install(path)

    return call
