"""Makes `tests/data/patches/`: two good patch files, and one for each way of being bad.

Nothing of `adapters` is used: the format is spelled out a second time here, from its description,
so that writer and reader are held to it and not to each other.

    python -m tests.store.make_patches
"""

import copy
import hashlib
import json
import pathlib
import struct
from typing import Any

FOLDER = pathlib.Path(__file__).parent.parent / "data" / "patches"

CARD: dict[str, Any] = {
    "schema": 1,
    "must_understand": ["edit/replace"],
    "patch": "scale_bias",
    "backbone": {"name": "tiny_backbone", "fingerprint": "0123456789abcdef" * 4},
    "task": {"name": "tiny", "version": "1.0.0"},
    "labels": ["cat", "d\u00f6g"],
    "metric": "accuracy",
    "scores": {"test": 0.5, "validation": 0.625},
    "preprocessing": {"fit": "crop", "mean": [127.5, 127.5, 127.5], "size": 8},
    "norm": "frozen",
    "encoding": "float32",
    "head": {"kind": "classification", "features": 3, "classes": 2},
    "parity": {"seed": 7, "shape": [8, 8, 3], "logits": [0.25, -1.5], "tolerance": 0.001},
}

# name: (shape, values in row-major order), and the dtype where it is not F32
Tensors = dict[str, tuple[list[int], list[Any]] | tuple[list[int], list[Any], str]]
FORMATS = {"F32": "f", "F16": "e", "I8": "b", "U8": "B"}  # as `struct` packs each dtype
TENSORS: Tensors = {
    "edit/replace/block_02/expand/norm/offset": ([2], [0.5, -0.5]),
    "edit/replace/block_02/expand/norm/scale": ([2], [1.5, 2.0]),
    "edit/replace/stem/norm/mean": ([2], [-0.0, 3.25]),
    "head/b": ([2], [0.125, -0.125]),
    "head/w": ([3, 2], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
}

SHAPES = {
    "block_02/expand/norm": {"scale": (2,), "offset": (2,), "mean": (2,), "var": (2,)},
    "stem/norm": {"scale": (2,), "offset": (2,), "mean": (2,), "var": (2,)},
}


def spell(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def assemble(card: dict[str, Any], tensors: Tensors, digest: str | None = None) -> bytes:
    """The file for this card and these tensors, however wrong; its digest right by default."""
    data = b"".join(packed(*tensor) for _, tensor in sorted(tensors.items()))
    if digest is None:
        zeroed = header(spell(card | {"sha256": "0" * 64}), tensors)
        digest = hashlib.sha256(zeroed + data).hexdigest()
    return header(spell(card | {"sha256": digest}), tensors) + data


def header(card: bytes, tensors: Tensors) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"modelpatch": card.decode()}}
    end = 0
    for name, (shape, values, *dtype) in sorted(tensors.items()):
        begin, end = end, end + len(packed(shape, values, *dtype))
        entries[name] = {
            "dtype": dtype[0] if dtype else "F32",
            "shape": shape,
            "data_offsets": [begin, end],
        }
    return wrap(spell(entries))


def packed(shape: list[int], values: list[Any], dtype: str = "F32") -> bytes:
    """The bytes of a tensor, as many as there are values, whatever its shape says."""
    return struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)


def wrap(text: bytes) -> bytes:
    """The header `text` with its padding and length."""
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def card_with(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(CARD) | fields


def respelled(old: bytes, new: bytes) -> bytes:
    """The good file with `old` in its header replaced; the digest is not made right."""
    good = assemble(CARD, TENSORS)
    (length,) = struct.unpack("<Q", good[:8])
    text, data = good[8 : 8 + length].rstrip(b" "), good[8 + length :]
    assert text.count(old) == 1, old
    return wrap(text.replace(old, new)) + data


def patches() -> dict[str, tuple[bytes, str | None]]:
    """`{file name: (bytes, name of the error they are refused with)}`; None for a good one."""
    good = assemble(CARD, TENSORS)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    nan = TENSORS | {"edit/replace/stem/norm/mean": ([2], [float("nan"), 0.0])}
    return {
        "tiny.patch": (good, None),
        "truncated.patch": (good[:-1], "TruncatedError"),
        "trailing_byte.patch": (good + b"\0", "HeaderError"),
        "flipped_bit.patch": (bytes(flipped), "DigestError"),
        "not_json.patch": (wrap(b"[1, 2"), "JSONError"),
        "no_patch.patch": (wrap(b"{}"), "HeaderError"),
        "duplicate_key.patch": (
            respelled(rb"\"norm\":\"frozen\"", rb"\"norm\":\"ema\",\"norm\":\"frozen\""),
            "DuplicateKeyError",
        ),
        "spaces.patch": (respelled(b'"shape":[3,2]', b'"shape":[3, 2]'), "NotCanonicalError"),
        "overlap.patch": (
            respelled(b'"data_offsets":[32,56]', b'"data_offsets":[24,48]'),
            "HeaderError",
        ),
        "half_precision.patch": (
            respelled(
                b'"data_offsets":[32,56],"dtype":"F32"', b'"data_offsets":[32,44],"dtype":"F16"'
            ),
            "HeaderError",
        ),
        "later_schema.patch": (assemble(card_with(schema=2), TENSORS), "SchemaVersionError"),
        "unknown_edit.patch": (
            assemble(card_with(must_understand=["edit/mix", "edit/replace"]), TENSORS),
            "UnsupportedFeatureError",
        ),
        "unknown_norm.patch": (assemble(card_with(norm="group"), TENSORS), "SchemaError"),
        "labels_disagree.patch": (
            assemble(card_with(labels=["cat", "dog", "cow"]), TENSORS),
            "LabelsError",
        ),
        "not_finite.patch": (assemble(CARD, nan), "NotFiniteError"),
        "int8_logits.patch": (_with_int8_logits([0.5, -1.25]), None),
        "int8_logits_too_few.patch": (_with_int8_logits([0.5]), "LabelsError"),
        "int8_logits_of_none.patch": (_with_int8_logits(None), "SchemaError"),
        "int8_logits_of_text.patch": (_with_int8_logits(["0.5", "-1.25"]), "SchemaError"),
    }


def _with_int8_logits(stated: Any) -> bytes:
    return assemble(card_with(parity=CARD["parity"] | {"int8_logits": stated}), TENSORS)


def write(contents: dict[str, bytes]) -> None:
    """Writes `{file name: bytes}` and says how large each is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (FOLDER / name).write_bytes(content)
        print(f"{len(content):6d} {name}")


if __name__ == "__main__":
    write({name: content for name, (content, _) in patches().items()})
