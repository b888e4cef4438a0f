"""Files that PyTorch 2.13 wrote (`tests/golden/make_foreign_files.py`) are read without it."""

import io
import pathlib
import zipfile

import numpy as np
import pytest

from adapters import errors, pickles
from adapters.backbones.torch_file import TorchFileError, read_torch_file
from tests import golden

FOLDER = pathlib.Path(golden.__file__).parent
LAYOUTS = ("torch_zip.pth", "torch_legacy.pth")


def content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_tensors_are_those_that_were_saved(name):
    expected = {
        "transposed": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "strided": np.float32([2, 4, 6]),
        "half": np.arange(5, dtype=np.float16),
        "brain": np.array([0x3FC0, 0xC000, 0x6182], np.uint32) << 16,  # 1.5, -2, near 3e20
        "count": np.int64(7),
        "empty": np.zeros((0, 3), np.float32),
    }
    expected["brain"] = expected["brain"].view(np.float32)
    found = read_torch_file(content(name))
    assert list(found) == list(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, strict=True)


def test_a_training_scripts_state_dict_is_found():
    found = read_torch_file(content("torch_training.pth"))["state_dict"]
    np.testing.assert_array_equal(found["w"], np.float32([1, 2]), strict=True)
    assert list(found) == ["w"]


def test_a_whole_module_is_refused():
    with pytest.raises(pickles.PickleError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_torch_file(content("torch_module.pth"))


def test_another_zip_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hello", "there")
    with pytest.raises(TorchFileError, match=r"without data\.pkl"):
        read_torch_file(file.getvalue())


@pytest.mark.parametrize("data", [b"", b"\x80\x02K\x01.", b"hello"])
def test_other_files_are_refused(data):
    with pytest.raises((TorchFileError, pickles.PickleError)):
        read_torch_file(data)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_cut_short_is_refused(name):
    data = content(name)
    for length in range(0, len(data) - 64, 37):
        with pytest.raises(errors.ModelPatchError):
            read_torch_file(data[:length])


@pytest.mark.parametrize("name", LAYOUTS)
def test_damage_never_escapes_as_another_error(name):
    data, generator = content(name), np.random.default_rng(1)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[generator.integers(len(data))] ^= 1 << generator.integers(8)
        try:
            for tensor in read_torch_file(bytes(damaged)).values():
                np.asarray(tensor)
        except errors.ModelPatchError:
            refused += 1
    assert refused > 100
