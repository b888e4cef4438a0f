"""A fingerprint is equal for equal weights, and for no others."""

import hashlib

import jax.numpy as jnp
import numpy as np
import pytest

from adapters.fingerprint import fingerprint


def weights() -> dict[str, dict[str, np.ndarray]]:
    return {
        "stem": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)},
        "stem/norm": {"mean": np.zeros(2, np.float32), "var": np.ones(2, np.float32)},
    }


def test_the_definition_written_out():
    expected = (
        b'["stem", "w", "float32", [2, 3]]\n'
        + np.arange(6, dtype="<f4").tobytes()
        + b'["stem/norm", "mean", "float32", [2]]\n'
        + bytes(8)
        + b'["stem/norm", "var", "float32", [2]]\n'
        + np.ones(2, "<f4").tobytes()
    )
    assert fingerprint(weights()) == hashlib.sha256(expected).hexdigest()


def test_order_library_and_memory_layout_do_not_matter():
    expected = fingerprint(weights())
    turned = {path: dict(reversed(m.items())) for path, m in reversed(weights().items())}
    assert fingerprint(turned) == expected
    assert (
        fingerprint({p: {n: jnp.asarray(a) for n, a in m.items()} for p, m in weights().items()})
        == expected
    )
    assert (
        fingerprint(
            {p: {n: np.asfortranarray(a) for n, a in m.items()} for p, m in weights().items()}
        )
        == expected
    )
    assert (
        fingerprint({p: {n: a.astype(">f4") for n, a in m.items()} for p, m in weights().items()})
        == expected
    )


def changed(change: str) -> dict[str, dict[str, np.ndarray]]:
    found = weights()
    stem, norm = found["stem"], found["stem/norm"]
    if change == "one bit":
        stem["w"].view(np.uint32)[1, 1] ^= 1
    elif change == "negative zero":
        norm["mean"][0] = -0.0
    elif change == "dtype":
        stem["w"] = stem["w"].view(np.int32)
    elif change == "shape":
        stem["w"] = stem["w"].reshape(3, 2)
    elif change == "name":
        norm["average"] = norm.pop("mean")
    elif change == "path":
        found["root"] = found.pop("stem")
    elif change == "swapped":
        norm["mean"], norm["var"] = norm["var"], norm["mean"]
    elif change == "missing":
        del norm["var"]
    return found


@pytest.mark.parametrize(
    "change",
    ["one bit", "negative zero", "dtype", "shape", "name", "path", "swapped", "missing"],
)
def test_every_change_shows(change):
    assert fingerprint(changed(change)) != fingerprint(weights())


def test_bfloat16_is_told_from_other_two_byte_numbers():
    zeros = np.zeros(3, np.uint16)
    prints = {
        fingerprint({"a": {"w": zeros.view(kind)}})
        for kind in (np.float16, jnp.bfloat16, np.uint16)
    }
    assert len(prints) == 3
