"""The file of an exported graph, changed somewhere and sealed again: its digest is right."""

import hashlib
import json

OTHERS = [None, -1, 0, 1.5, 2**63, 2**70, 1e308, "", "x", [], {}, [1], [-1], True, [[1], [0], [0]]]


def resealed(beside, length, written):
    """The file with another part beside the flatbuffer, and a right digest."""
    own = int.from_bytes(written[-16:-8], "little")
    body = written[: -48 - own] + beside
    return body + hashlib.sha256(body).digest() + length.to_bytes(8, "little") + written[-8:]


def described(written):
    """What a graph's file says of itself, and the bytes of its leaves."""
    own = int.from_bytes(written[-16:-8], "little")
    beside = written[-48 - own : -48]
    end = 8 + int.from_bytes(beside[:8], "little")
    return json.loads(beside[8:end]), beside[end:]


def saying(written, header):
    text = json.dumps(header).encode()
    beside = len(text).to_bytes(8, "little") + text + described(written)[1]
    return resealed(beside, len(beside), written)


def altered(value, chance):
    """Another value in place of one somewhere inside; what is left out as often."""
    if not value or not isinstance(value, dict | list) or chance.random() < 0.2:
        return chance.choice(OTHERS)
    copy = value.copy()
    key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
    if chance.random() < 0.2:
        del copy[key]
    elif key == "modelpatch_graph":
        copy[key] = json.dumps(altered(json.loads(value[key]), chance))
    else:
        copy[key] = altered(value[key], chance)
    return copy
