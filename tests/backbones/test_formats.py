"""Files are told apart by content: what holds no weights is named, what lies in parts is joined."""

import io
import json
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from adapters.backbones.convert import load_checkpoint
from adapters.backbones.formats import read_tensors, read_weights
from adapters.backbones.not_weights import NotWeightsError
from adapters.backbones.registry import table
from adapters.fingerprint import fingerprint
from tests.backbones import published
from tests.backbones.torch_writer import torch_file

TABLE = "mobilenet_v2_0.35"


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty: fetch it anew"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 14000000\n",
            "a Git LFS pointer, .* `git lfs pull`",
        ),
        (b"<!DOCTYPE html><html>Entry not found</html>", "a web page"),
        (b"\n\n  <HTML><body>", "a web page"),
        (b"<?xml version='1.0'?><Error>", "a web page"),
        (b'{"class_name": "Functional"}', "JSON"),
        (b"[1, 2]", "JSON"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x10\n\x04", "an ONNX graph"),
        (b"\x08\x0a:\x10\n\x04", "an ONNX graph"),
        (b"\x1c\0\0\0TFL3" + bytes(64), "a LiteRT graph"),
        (b"\x1f\x8b\x08\0\0\0", "a packed archive: unpack it"),
        (bytes(257) + b"ustar\x0000", "a packed archive: unpack it"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\x93NUMPY\x01\x00", "one NumPy array"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (zipped("weights.npy"), "an archive of other files"),
        (zipped("m/data.pkl", "m/constants.pkl", "m/code/a.py"), "a TorchScript program"),
        (b"import torch\n", r"unknown format, or damaged: it begins with b'import torch\\n'"),
    ],
)
def test_what_holds_no_weights_is_named_with_what_to_do(data, said, tmp_path):
    (tmp_path / "model.pth").write_bytes(data)
    with pytest.raises(NotWeightsError, match=said) as refused:
        load_checkpoint(tmp_path / "model.pth", table(TABLE))
    assert str(refused.value).startswith(f"{tmp_path / 'model.pth'}: it is ")
    for ending in (".h5", ".keras", ".pth", ".safetensors", ".index", ".pb"):
        assert ending in str(refused.value)


def write_parts(folder, tensors, write=safetensors.numpy.save):
    """Two files of the tensors and the index beside them."""
    parts = {name: f"model-0000{1 + n % 2}-of-00002.bin" for n, name in enumerate(tensors)}
    for part in set(parts.values()):
        inside = {name: array for name, array in tensors.items() if parts[name] == part}
        (folder / part).write_bytes(write(inside))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": parts}, indent=2))
    return index


@pytest.mark.parametrize("write", [safetensors.numpy.save, torch_file])
def test_files_that_an_index_names_are_joined(tmp_path, write):
    tensors = published.tensors("timm", TABLE, classes=3)
    found = load_checkpoint(write_parts(tmp_path, tensors, write), table(TABLE))
    (tmp_path / "whole").write_bytes(safetensors.numpy.save(tensors))
    assert fingerprint(found.weights) == fingerprint(
        load_checkpoint(tmp_path / "whole", table(TABLE)).weights
    )


def test_a_part_that_is_missing_or_lacks_a_tensor_is_named(tmp_path):
    index = write_parts(tmp_path, {"a": np.zeros(1), "b": np.zeros(2)})
    second = tmp_path / "model-00002-of-00002.bin"
    second.write_bytes(safetensors.numpy.save({"c": np.zeros(2)}))
    with pytest.raises(NotWeightsError, match="none of which holds b"):
        read_weights(index)
    second.unlink()
    with pytest.raises(NotWeightsError, match=r"model-00002-of-00002\.bin is not beside it"):
        read_weights(index)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "", "a/b", 3, None, ["a"]])
def test_an_index_names_files_of_its_own_folder_alone(tmp_path, name):
    (tmp_path / "secret").write_bytes(safetensors.numpy.save({"a": np.zeros(1)}))
    (tmp_path / "inside").mkdir()
    index = tmp_path / "inside" / "index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(NotWeightsError, match="is not beside it"):
        read_weights(index)


def test_brain_floats_of_safetensors_widen():
    header = b'{"w":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]}}'
    values = np.uint16([0x3F80, 0xC000, 0x3FC0, 0x6182]).tobytes()
    found = read_tensors(len(header).to_bytes(8, "little") + header + values)["w"]
    expected = (np.uint32([[0x3F80, 0xC000], [0x3FC0, 0x6182]]) << 16).view(np.float32)
    assert (found.shape, found.dtype) == ((2, 2), np.float32)
    np.testing.assert_array_equal(found, expected, strict=True)


def test_a_network_of_brain_floats_converts(tmp_path):
    tensors = published.tensors("timm", TABLE, classes=3)
    halves = {n: (a.view(np.uint32) >> 16).astype(np.uint16) for n, a in tensors.items()}
    data = safetensors.numpy.save(halves).replace(b'"U16"', b'"BF16"', len(halves))
    grown = int.from_bytes(data[:8], "little") + len(halves)  # a letter each
    (tmp_path / "model.safetensors").write_bytes(grown.to_bytes(8, "little") + data[8:])
    found = load_checkpoint(tmp_path / "model.safetensors", table(TABLE))
    expected = (halves["bn2.running_var"].astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(found.weights["tail/norm"]["var"], expected)
