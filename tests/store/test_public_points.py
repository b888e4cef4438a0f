"""Points that are keys, held to the group law of the curve and to the keys of `cryptography`."""

import os

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters.store.public_points import is_public_point

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def root(square):
    """A square root modulo P, or None; RFC 8032, 5.1.3."""
    found = pow(square, (P + 3) // 8, P)
    for candidate in (found, found * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == square % P:
            return candidate
    return None


def doubled(point):
    x, y = point
    product = D * x * x * y * y % P
    return (
        2 * x * y * pow(1 + product, P - 2, P) % P,
        (y * y + x * x) * pow(1 - product, P - 2, P) % P,
    )


def order_divides_8(y):
    """Whether a point with this y is there, and comes to (0, 1) by doubling it three times."""
    x = root((y * y - 1) * pow(D * y * y + 1, P - 2, P))
    return x is not None and doubled(doubled(doubled((x, y)))) == (0, 1)


def small_order():
    """The y of every such point: halves of (0, 1), and of what is found so, by hand."""
    minus_one = P - 1
    # 2 (x, y) has the x of 0 only where y = 0 or x = 0; (x, y) of order 8 doubles to y = 0, where
    # y^2 = -x^2, so that -x^2 + y^2 = 1 + d x^2 y^2 reads 2 y^2 = 1 - d y^4.
    inner = root(1 + D)
    squares = [(sign * inner - 1) * pow(D, P - 2, P) % P for sign in (1, -1)]
    eighth = [y for square in squares if (y := root(square)) is not None]
    return {0, 1, minus_one, *eighth, *(P - y for y in eighth)}


def spelled(y):
    return [(y | sign << 255).to_bytes(32, "little") for sign in (0, 1)]


def test_every_point_of_small_order_is_refused():
    points = small_order()
    assert len(points) == 5
    for y in points:
        assert order_divides_8(y)
        for data in spelled(y):
            assert not is_public_point(data)
    for y in range(19):  # the other spellings of 0 to 18, which some libraries accept
        for data in spelled(P + y):
            assert not is_public_point(data)


def test_why_zeros_are_no_key():
    """One signature made without a private key fits several messages."""
    forged = (1).to_bytes(32, "little") + bytes(32)
    fits = 0
    for number in range(64):
        try:
            Ed25519PublicKey.from_public_bytes(bytes(32)).verify(forged, b"%d" % number)
            fits += 1
        except InvalidSignature:
            pass
    assert fits > 1


def test_keys_are_accepted_and_what_is_no_point_is_not():
    for number in range(64):
        key = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)).public_key()
        assert is_public_point(key.public_bytes_raw())
        y = int.from_bytes(os.urandom(32), "little") % 2**255
        square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
        for data in spelled(y):
            assert is_public_point(data) == (y < P and root(square) is not None)
    assert not is_public_point(b"")
    assert not is_public_point(bytes([9] * 31))
