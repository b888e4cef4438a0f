"""Which 32 bytes are a public key of Ed25519 that only its owner can sign with (RFC 8032, 5.1.3).

About half of all byte strings are no point of the curve. A few are points of small order: for them,
signatures that fit almost any message can be made without a private key.
"""

SIZE = 32
_PRIME = 2**255 - 19
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME
# The y of a point of order 8. With it, the eight points whose order divides 8 have these y.
_Y8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER = {0, 1, _PRIME - 1, _Y8, _PRIME - _Y8}


def is_public_point(data: bytes) -> bool:
    """Whether `data` [32] spells a point of the curve, in its one spelling, not of small order."""
    y = int.from_bytes(data, "little") % 2**255  # the highest bit is the sign of x
    if len(data) != SIZE or y >= _PRIME or y in _SMALL_ORDER:
        return False
    # -x^2 + y^2 = 1 + d x^2 y^2; d is no square, so that the divisor is never zero.
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _PRIME) % _PRIME
    return pow(x_squared, (_PRIME - 1) // 2, _PRIME) == 1
