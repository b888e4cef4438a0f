"""A file of weights, whatever its format: told by content, its tensors by their published names."""

import json
import pathlib

from adapters import archives
from adapters.backbones.keras_file import read_keras_file
from adapters.backbones.not_weights import NotWeightsError, refuse_what_is_not_weights, unknown
from adapters.backbones.safetensors_file import is_safetensors, read_safetensors
from adapters.backbones.stored import Tensor, Tree, tables
from adapters.backbones.tensorflow.bundle import read_bundle
from adapters.backbones.tensorflow.read import (
    checkpoint_prefix,
    is_tensorflow_file,
    read_tensorflow_file,
)
from adapters.backbones.torch_file import read_torch_file
from adapters.shown import shown

_INDEX_LIMIT = 1 << 22  # bytes; of a thousand tensors, 100,000


def read_weights(path: pathlib.Path) -> Tree:
    """Gives the tensors of a checkpoint that may lie in several files.

    TensorFlow's checkpoints are named by any of their files, or by what their names have in common;
    safetensors and PyTorch in several files by their `.index.json`.

    Raises the errors of `read_tensors`; OSError when a file cannot be opened.
    """
    prefix = checkpoint_prefix(path)
    if prefix is not None:
        return read_bundle(prefix)
    data = path.read_bytes()
    parts = _parts(data)
    return read_tensors(data) if parts is None else _joined(path, parts)


def read_tensors(data: bytes) -> Tree:
    """Gives the tensors of one file, wrapped in dictionaries as the file wraps them.

    Raises NotWeightsError, SafetensorsFileError, TorchFileError, PickleError, KerasFileError,
    TensorFlowFileError, ArchiveError.
    """
    refuse_what_is_not_weights(data)
    if is_safetensors(data):
        return read_safetensors(data)
    if data.startswith(b"PK"):
        return _read_zip(data)
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_keras_file(data)
    if is_tensorflow_file(data):
        return read_tensorflow_file(data)
    if data.startswith(b"\x80"):
        return read_torch_file(data)
    raise unknown(data)


def _read_zip(data: bytes) -> Tree:
    names = archives.zip_members(data).keys()
    if "config.json" in names:
        return read_keras_file(data)
    if any(name.rpartition("/")[2] == "constants.pkl" for name in names):
        raise NotWeightsError(
            "a TorchScript program: load it with torch.jit.load where it is trusted, and save its "
            "state_dict()."
        )
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return read_torch_file(data)
    raise NotWeightsError("an archive of other files: unpack it, and give the checkpoint inside.")


def _parts(data: bytes) -> dict[str, str] | None:
    """Of an index: the file that each tensor lies in."""
    if not data[:_INDEX_LIMIT].lstrip().startswith(b"{") or len(data) > _INDEX_LIMIT:
        return None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    parts = content.get("weight_map")
    return parts if isinstance(parts, dict) and parts else None


def _joined(path: pathlib.Path, parts: dict[str, str]) -> Tree:
    joined: dict[str, Tensor] = {}
    for name in dict.fromkeys(map(str, parts.values())):
        part = path.parent / name
        if pathlib.PurePath(name).name != name or not part.is_file():
            raise NotWeightsError(
                f"an index of weights that lie in several files, and {shown(name)} is not beside "
                "it: fetch every file that it names into its folder, or join them into one."
            )
        for _, tensors in tables(read_tensors(part.read_bytes())):
            joined |= tensors
    missing = [name for name in parts if name not in joined]
    if missing:
        raise NotWeightsError(
            f"an index of weights in several files, none of which holds {shown(missing[0])}: fetch "
            "them anew."
        )
    return joined
