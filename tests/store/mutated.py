"""A patch file changed somewhere inside and sealed again: its digest is right, so that what is
tested are the checks behind it.

Every choice is taken from a `random.Random`, so that whoever gives one can repeat and steer it.
"""

import copy
import json
import random
import struct
from typing import Any

import numpy as np

from tests.store.make_kind_patches import KINDS
from tests.store.make_patches import FORMATS, Tensors, assemble

Card = dict[str, Any]

# What has broken readers before: bounds, other types, names with a meaning, odd characters.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 127, 2**31, 2**53 - 1, 2**53, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, 1e308, 5e-324, [], {}, [[]], "", " ", "w", "tiny", "float16", "int8", "ema"),
    *("a\0b", "\ud800", "\u202e", "\N{FISH}", "../x", "x" * 300, "edit/mask", "0" * 64),
    *("auxiliary", {"preview": 4}),
]
NUMBERS: dict[str, list[Any]] = {
    "F32": [0.0, -0.0, 1.0, 1e-45, 3e38, float("inf"), float("nan")],
    "F16": [0.0, -0.0, 1.0, 6e-8, 65504.0, float("inf"), float("nan")],
    "I8": [0, 1, -1, 127, -127, -128],
    "U8": [0, 1, 128, 254, 255],
}
NAMES = [
    *("head/w", "head/b", "head/c", "edit/mix/stem/w", "edit/replace/w", "scale/head/w", "x", ""),
    *("head/preview/w", "head/preview/b", "edit/mixture/stem/w.coefficients", "head/a/b/w"),
    *("edit/insert/stem/side_up", "edit/insert/stem/side_down", "edit/insert/stem/open"),
    *("edit/insert/stem/norm/scale", "edit/low_rank/stem/w.down", "edit/low_rank/stem/w.up"),
    *("edit/mask/stem/w", "edit/affine_mask/stem/w.mask", "edit/affine_mask/stem/w.coefficients"),
    *("edit/add/stem/../w", "edit/add/stem/w.", "edit/add//w", "scale/scale/head/w"),
]


def take_apart(content: bytes) -> tuple[Card, Tensors]:
    """The card, without its digest, and the tensors of a file whose places are right.

    Raises ValueError or KeyError for others.
    """
    (length,) = struct.unpack("<Q", content[:8])
    entries = json.loads(content[8 : 8 + length])
    card = json.loads(entries.pop("__metadata__")["modelpatch"])
    del card["sha256"]
    tensors: Tensors = {}
    for name, entry in entries.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        dtype = entry["dtype"]
        stored = np.frombuffer(content[begin:end], _numpy(dtype))
        tensors[name] = (entry["shape"], stored.tolist(), dtype)
    return card, tensors


def sealed(card: Card, tensors: Tensors, random: random.Random) -> bytes:
    """A file of some changes to card and tensors, sealed."""
    card, tensors = copy.deepcopy(card), dict(tensors)
    for _ in range(random.randint(1, 3)):
        random.choice((_change_card, _change_tensor, _change_both))(card, tensors, random)
    return assemble(card, tensors)


def _numpy(dtype: str) -> np.dtype[Any]:
    return np.dtype(f"<{FORMATS[dtype]}")


def _change_card(card: Card, _: Tensors, random: random.Random) -> None:
    """Replaces, removes, doubles or adds a value somewhere in the card."""
    place: Any = card
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = random.choice(keys) if keys else None
        inner = key is not None and isinstance(place[key], dict | list)
        if not inner or random.random() < 0.3:
            break
        place = place[key]
    value = copy.deepcopy(random.choice(VALUES))
    how = random.choice(("added", "gone", "doubled", "replaced"))
    if key is None or how == "added":
        if isinstance(place, dict):
            place[str(random.choice(VALUES))] = value
        else:
            place.append(value)
    elif how == "gone":
        del place[key]
    elif how == "doubled" and isinstance(place, list):
        place.insert(key, copy.deepcopy(place[key]))
    else:
        place[key] = value


def _change_tensor(_: Card, tensors: Tensors, random: random.Random) -> None:
    """Changes a tensor's numbers, shape, dtype or name; removes it; or adds another."""
    if not tensors:
        return
    name = random.choice(sorted(tensors))
    shape, values, dtype = _whole(tensors[name])
    how = random.choice((*["numbers"] * 3, "filled", "dtype", "gone", "renamed", "reshaped"))
    if how == "numbers":
        values = list(values)
        for _ in range(random.randint(1, 3)):
            if values:
                values[random.randrange(len(values))] = random.choice(NUMBERS[dtype])
        tensors[name] = (shape, values, dtype)
    elif how == "filled":
        tensors[name] = _filled(_shape(random), random.choice(sorted(FORMATS)), random)
    elif how == "dtype":
        data = _bytes(values, dtype)
        dtype = random.choice(sorted(FORMATS))
        data = data[: len(data) // _numpy(dtype).itemsize * _numpy(dtype).itemsize]
        stored = np.frombuffer(data, _numpy(dtype)).tolist()
        tensors[name] = ([len(stored)], stored, dtype)
    elif how == "gone":
        del tensors[name]
    elif how == "renamed":
        tensors[random.choice(NAMES)] = (shape, values, dtype)
    else:
        kept = random.choice((shape[::-1], [*shape, 1], shape[1:], [len(values)], [1, *shape]))
        tensors[name] = (kept, values, dtype)


def _change_both(card: Card, tensors: Tensors, random: random.Random) -> None:
    """Adds an edit and says so in the card, or stores the file as another encoding."""
    if random.random() < 0.3:
        encoding = random.choice(("float32", "float16", "int8"))
        card["encoding"] = encoding
        if isinstance(card.get("must_understand"), list) and encoding != "float32":
            card["must_understand"] = _sorted([*card["must_understand"], f"encoding/{encoding}"])
        return
    kind = random.choice((*KINDS, "mix"))
    module = random.choice(("stem", "stem/norm", "tail", "a" * 40, "x/y/z"))
    leaf = random.choice(("w", "w.mask", "w.coefficients", "w.down", "w.up", "mean", "scale"))
    dtype = random.choice(sorted(FORMATS))
    tensors[f"edit/{kind}/{module}/{leaf}"] = _filled(_shape(random), dtype, random)
    if isinstance(card.get("must_understand"), list):
        card["must_understand"] = _sorted([*card["must_understand"], f"edit/{kind}"])


def _sorted(texts: list[Any]) -> list[Any]:
    return sorted({text for text in texts if isinstance(text, str)})


def _shape(random: random.Random) -> list[int]:
    return [random.choice((1, 2, 3, 4, 5)) for _ in range(random.randint(0, 4))]


def _filled(
    shape: list[int], dtype: str, random: random.Random
) -> tuple[list[int], list[Any], str]:
    count = int(np.prod(shape))
    number = random.choice(NUMBERS[dtype])
    return shape, [number] * count, dtype


def _whole(tensor: Any) -> tuple[list[int], list[Any], str]:
    shape, values, *dtype = tensor
    return shape, values, dtype[0] if dtype else "F32"


def _bytes(values: list[Any], dtype: str) -> bytes:
    return struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)
