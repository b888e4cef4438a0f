"""Files that people give as weights and that hold none, told by how they begin."""

from adapters import errors
from adapters.shown import shown_value

READ = (
    "Keras (.h5, .weights.h5, .keras), PyTorch (.pth, .pt, .bin), safetensors (.safetensors, or "
    "the .index.json of several) and TensorFlow (.index, .pb)"
)
"""The formats that are read, for messages."""

_BEGINNING = 1024
_ARCHIVES = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"\x28\xb5\x2f\xfd",
    b"Rar!",
)
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF")


class NotWeightsError(errors.ModelPatchError):
    """A file is of no format whose weights are read."""

    def __init__(self, what: str):
        super().__init__(f"it is {what} Weights are read from {READ}.")


def refuse_what_is_not_weights(data: bytes) -> None:
    """Raises NotWeightsError where `data` begins as a file that holds no weights for us."""
    what = _known(data)
    if what:
        raise NotWeightsError(what)


def unknown(data: bytes) -> NotWeightsError:
    """The error for content that begins as nothing known."""
    beginning = shown_value(data[:16])
    return NotWeightsError(f"of an unknown format, or damaged: it begins with {beginning}.")


def _known(data: bytes) -> str | None:
    beginning = data[:_BEGINNING]
    text = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return "empty: fetch it anew."
    if beginning.startswith(b"version https://git-lfs.github.com/spec/"):
        return (
            "a Git LFS pointer, which stands for the file itself: fetch that with `git lfs pull`."
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return (
            "a web page, mostly an error of the site that it was fetched from: fetch the file "
            "anew, by the address of its raw content."
        )
    # Not behind a line's end, which is how a TensorFlow graph begins.
    if beginning.startswith((b"{", b"[")) and beginning[4:8] != bytes(4):
        return "JSON, a description without weights: give the file with the weights beside it."
    if _is_onnx(beginning):
        return "an ONNX graph: give the checkpoint that it was exported from."
    if beginning[4:8] == b"TFL3":
        return "a LiteRT graph (.tflite): give the checkpoint that it was converted from."
    if beginning.startswith(_ARCHIVES) or beginning[257:262] == b"ustar":
        return "a packed archive: unpack it, and give the checkpoint inside."
    if beginning.startswith(_PICTURES):
        return "a picture or a document, no checkpoint."
    if beginning.startswith(b"\x93NUMPY"):
        return "one NumPy array: give the checkpoint as its framework saves it."
    if beginning.startswith(b"GGUF"):
        return "a GGUF file, which holds language models: give a MobileNet's checkpoint."
    return None


def _is_onnx(beginning: bytes) -> bool:
    """A ModelProto begins with its format's version; its producer, graph or opsets follow."""
    if len(beginning) < 3:
        return False
    tag, version, following = beginning[:3]
    return tag == 0x08 and 1 < version < 0x40 and following in b"\x12\x1a\x22\x28\x32\x3a\x42"
