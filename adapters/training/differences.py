"""What differs between two records of a run, field by field, in words."""

from collections.abc import Mapping
from typing import Any

MOST = 12  # fields named in a message, and items shown of a list
_ABSENT = object()

Differences = Mapping[str, tuple[Any, Any]]
"""{field: (before, now)}."""


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested record as one of dotted names.

    >>> flat({"recipe": {"steps": 3}, "seed": 0})
    {'recipe.steps': 3, 'seed': 0}
    """
    fields: dict[str, Any] = {}
    for key, value in record.items():
        nested = isinstance(value, dict) and value
        fields |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return fields


def between(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """The fields that only one of two flat records has, or that differ; sorted."""
    pairs = {key: (old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in sorted({*old, *new})}
    return {key: (before, now) for key, (before, now) in pairs.items() if before != now}


def in_words(differing: Differences) -> str:
    """Each field with what it was and what it is.

    >>> in_words(between({"seed": 0}, {"seed": 1}))
    'seed was 0, is now 1'
    """
    said = [f"{field} {_change(*pair)}" for field, pair in differing.items()]
    more = f"; and {len(said) - MOST} more" if len(said) > MOST else ""
    return "; ".join(said[:MOST]) + more


def _change(old: Any, new: Any) -> str:
    if isinstance(old, list) and isinstance(new, list) and max(len(old), len(new)) > MOST:
        lost, gained = ([x for x in a if x not in b] for a, b in ((old, new), (new, old)))
        if not lost and not gained:
            return f"holds the same {len(old)} in another order"
        return f"lost {_some(lost)}, gained {_some(gained)}"
    return f"was {_shown(old)}, is now {_shown(new)}"


def _some(items: list[Any]) -> str:
    listed = ", ".join(map(repr, items[:MOST])) or "none"
    return f"{listed} and {len(items) - MOST} more" if len(items) > MOST else listed


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else repr(value)
