"""Names and values out of files as messages show them: a few of them, each cut short."""

import itertools
import reprlib
from collections.abc import Collection

from adapters.names import has_control_characters, plain

_LENGTH = 100  # characters of a name
_COUNT = 5
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 2, _LENGTH, _LENGTH


def shown(name: str) -> str:
    """A name, without its middle where it is long; what acts on a terminal, or hides, is escaped.

    >>> shown("features.0.0.weight")
    'features.0.0.weight'
    >>> len(shown("w" * 10_000_000))
    100
    """
    half = (_LENGTH - 3) // 2
    cut = name if len(name) <= _LENGTH else f"{name[: half + 1]}...{name[-half:]}"
    return ascii(cut)[1:-1] if has_control_characters(cut) else plain(cut)


def shown_value(value: object) -> str:
    """What `repr` gives, without most of it where it is long or nested.

    >>> shown_value([[[[1]]], *range(100)])
    '[[[...]], 0, 1, 2, 3, 4, ...]'
    """
    return _REPR.repr(value)


def listed(names: Collection[str]) -> str:
    """The first few names, and how many more there are.

    >>> listed(["a", "b"]), listed([str(number) for number in range(7)]), listed([])
    ('a, b', '0, 1, 2, 3, 4 and 2 more', 'nothing')
    """
    first = ", ".join(shown(name) for name in itertools.islice(names, _COUNT))
    return (
        f"{first} and {len(names) - _COUNT} more" if len(names) > _COUNT else first
    ) or "nothing"
