"""Files that Keras wrote (`tests/golden/make_foreign_files.py`) are read without it."""

import io
import pathlib

import h5py
import numpy as np
import pytest

from adapters import archives
from adapters.backbones import hdf5
from adapters.backbones.hdf5 import HDF5Error
from adapters.backbones.keras_file import KerasFileError, read_keras_file
from adapters.backbones.stored import Tree, tables
from tests import golden
from tests.backbones import hostile
from tests.golden import closed_formula

FOLDER = pathlib.Path(golden.__file__).parent
SHAPES = {
    "Conv1/kernel": (1, 1, 3, 2),
    "zebra/kernel": (2, 2, 2, 1),
    "last/kernel": (1, 1, 2, 2),
    "apple/kernel": (2, 2, 2, 1),
    "predictions/kernel": (2, 2),
    "predictions/bias": (2,),
    **{
        f"bn_{layer}/{weight}": (2,)
        for layer in ("Conv1", "last")
        for weight in ("gamma", "beta", "moving_mean", "moving_variance")
    },
}


def content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def is_the_tiny_model(tree: Tree) -> bool:
    (found,) = (tensors for _, tensors in tables(tree) if "Conv1/kernel" in tensors)
    return {name: array.shape for name, array in found.items()} == SHAPES and all(
        np.array_equal(found[name], closed_formula.tensor(name, shape))
        for name, shape in SHAPES.items()
    )


@pytest.mark.parametrize(
    "name",
    [
        "keras_flat.keras",  # Keras 3.15.1
        "keras_flat.h5",
        "keras_nested.keras",
        "keras_nested.h5",
        "keras_old_nested.keras",  # Keras 3.0.5: no layer names beside the values
    ],
)
def test_every_format_gives_the_tensors_that_were_saved(name):
    assert is_the_tiny_model(read_keras_file(content(name)))


def test_weights_only_files_of_keras_3():
    data = archives.read_member(FOLDER / "keras_flat.keras", "model.weights.h5")
    assert is_the_tiny_model(read_keras_file(data))


def test_weights_only_files_without_names_are_refused():
    data = archives.read_member(FOLDER / "keras_old_nested.keras", "model.weights.h5")
    with pytest.raises(KerasFileError, match=r"save the model with Keras 3\.6"):
        read_keras_file(data)


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_texts_beside_groups_are_those_that_h5py_reads(version):
    file = io.BytesIO()
    with h5py.File(file, "w", libver=version) as written:
        for number in range(40):
            group = written.create_group(f"group_{number}")
            group.attrs["count"] = number
            group.attrs["name"] = "Schicht ä" * (number % 5) + str(number)
            group.attrs.create("fixed", np.bytes_("fixed"))
            group.attrs["several"] = ["a", "b"]
            group.attrs["long"] = "a" * 3_000
    data = file.getvalue()
    with h5py.File(io.BytesIO(data), "r") as read:
        for group in read.values():
            assert hdf5.text(group, "name", data) == group.attrs["name"]
            assert hdf5.text(group, "fixed", data) == "fixed"
            others = [hdf5.text(group, name, data) for name in ("several", "long", "count", "no")]
            assert others == [None] * 4


def test_a_text_that_states_gigabytes_is_left():
    with pytest.raises(KerasFileError, match="nothing says which layer"):
        read_keras_file(hostile.FILES["stated_text"]())


def test_keras_2_names_are_understood():
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        for name, shape in SHAPES.items():
            layer, weight = name.split("/")
            depthwise = "depthwise_" if layer in ("zebra", "apple") else ""
            written[f"{layer}/{layer}/{depthwise}{weight}:0"] = closed_formula.tensor(name, shape)
    assert is_the_tiny_model(read_keras_file(file.getvalue()))


def test_each_of_several_models_is_given():
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        for name in ("teacher/a/kernel", "teacher/b/kernel", "student/a/kernel", "student/b/bias"):
            written[name] = np.zeros(1)
    found = read_keras_file(file.getvalue())
    assert {name: list(tensors) for name, tensors in found.items()} == {
        "student": ["a/kernel", "b/bias"],
        "teacher": ["a/kernel", "b/kernel"],
    }


def test_values_kept_in_another_file_are_refused(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"secret!!")
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written.create_dataset(
            "Conv1/Conv1/kernel", (8,), "u1", external=[(str(tmp_path / "elsewhere"), 0, 8)]
        )
    with pytest.raises(HDF5Error, match="kept in another file"):
        read_keras_file(file.getvalue())


def test_links_out_of_the_file_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["kernel"] = np.zeros(3)
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written["Conv1/Conv1/kernel"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "kernel")
    with pytest.raises(KerasFileError, match="holds no weights"):
        read_keras_file(file.getvalue())


@pytest.mark.parametrize("settings", [{}, {"shuffle": True}, {"compression": "gzip"}])
def test_chunks_are_unpacked_as_hdf5_does(settings):
    values = closed_formula.tensor("kernel", (7, 5, 3))
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written.create_dataset("a/a/kernel", data=values, chunks=(3, 4, 2), **settings)
        part = written.create_dataset("b/b/kernel", (7,), ">f8", chunks=(2,), fillvalue=3)
        part[2:4] = 5
    found = read_keras_file(file.getvalue())
    np.testing.assert_array_equal(found["a/kernel"], values, strict=True)
    np.testing.assert_array_equal(found["b/kernel"], [3, 3, 5, 5, 3, 3, 3])


def test_an_unusual_packing_is_refused():
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written.create_dataset("a/a/kernel", data=np.zeros(9), chunks=(9,), compression="lzf")
    with pytest.raises(HDF5Error, match="save it without compression"):
        np.asarray(read_keras_file(file.getvalue())["a/kernel"])


@pytest.mark.parametrize("place", ["kernel", "layers/vars/kernel"])
def test_values_in_no_layer_are_refused(place):
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        written[place] = np.zeros(1, np.float32)
    with pytest.raises(KerasFileError):
        read_keras_file(file.getvalue())


@pytest.mark.parametrize("name", ["keras_flat.keras", "keras_flat.h5"])
def test_a_file_cut_short_is_refused(name):
    data = content(name)
    for length in range(0, len(data) - 8_000, 3_001):
        with pytest.raises((KerasFileError, archives.ArchiveError)):
            read_keras_file(data[:length])
