"""Patches and heads as text: `scale_bias+depthwise`, `spotpatch(mask, weight=2)`, `multilabel`.

A spec is one or more terms joined by `+`; a term is a name, with an inner spec and settings in
brackets where the patch has them. Settings are whole numbers, decimals, `true`, `false` or a word.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.errors import ModelPatchError

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*(?:\.\w+)*|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|[-+(),=])")
_NUMBER = re.compile(r"[-+]?\d")
_CONSTANTS = {"true": True, "false": False, "none": None}


class SpecError(ModelPatchError):
    """A specification that cannot be read, or that names one thing twice."""


@dataclasses.dataclass(frozen=True)
class Term:
    """One part of a spec.

    Attributes:
      name: of a family of patches, or of a kind of head.
      inner: terms of the spec in its brackets; empty: there is none.
      settings: by name.
    """

    name: str
    inner: tuple["Term", ...]
    settings: dict[str, Any]


def parse(spec: str, what: str = "patch") -> tuple[Term, ...]:
    """The terms of `spec`, the text of a `what`.

    Raises SpecError.

    >>> parse("lora(rank=4)+bias")[0].settings
    {'rank': 4}
    """
    reader = _Reader(spec, what)
    terms = reader.terms()
    reader.end()
    return terms


class _Reader:
    def __init__(self, spec: str, what: str):
        self._spec, self._what, self._position = spec, what, 0

    def terms(self) -> tuple[Term, ...]:
        found = [self._term()]
        while self._next("+"):
            found.append(self._term())
        names = [term.name for term in found]
        if len(set(names)) != len(names):
            raise self._error(f"names a {self._what} twice")
        return tuple(found)

    def end(self) -> None:
        if self._spec[self._position :].strip():
            raise self._error(f"cannot be read from {self._spec[self._position :]!r} on")

    def _term(self) -> Term:
        name = self._word()
        inner: tuple[Term, ...] = ()
        settings: dict[str, Any] = {}
        if self._next("("):
            while True:
                before = self._position
                word = self._word()
                if self._next("="):
                    if word in settings:
                        raise self._error(f"gives {word} twice")
                    settings[word] = self._value()
                elif inner or settings:
                    raise self._error(f"has {word!r} where a setting NAME=VALUE was expected")
                else:
                    self._position = before
                    inner = self.terms()
                if not self._next(","):
                    break
            if not self._next(")"):
                raise self._error("has a bracket that is not closed")
        return Term(name, inner, settings)

    def _value(self) -> Any:
        token = self._token()
        if token and _NUMBER.match(token):
            return int(token) if re.fullmatch(r"[-+]?\d+", token) else float(token)
        if token and token.replace(".", "_").isidentifier():  # mobilenet_v2_1.0
            return _CONSTANTS.get(token, token)
        raise self._error("has a setting without a value")

    def _word(self) -> str:
        token = self._token()
        if token is None or not token.isidentifier():
            raise self._error("lacks a name")
        return token

    def _next(self, token: str) -> bool:
        before = self._position
        if self._token() == token:
            return True
        self._position = before
        return False

    def _token(self) -> str | None:
        match = _TOKEN.match(self._spec, self._position)
        if match is None:
            return None
        self._position = match.end()
        return match[1]

    def _error(self, what: str) -> SpecError:
        return SpecError(
            f"{self._what} {self._spec!r} {what}: names joined by '+', each once, with settings in "
            "brackets: 'scale_bias+depthwise' or 'spotpatch(lora(rank=4), weight=2)', say."
        )


def term_text(name: str, inner: str, settings: Mapping[str, object]) -> str:
    """One term as text, with every setting spelled out.

    >>> term_text("spotpatch", "bias", {"weight": 2.0, "budget_bits": None})
    'spotpatch(bias, weight=2.0, budget_bits=none)'
    """
    spelled = [f"{setting}={_value_text(value)}" for setting, value in settings.items()]
    inside = ", ".join([*([inner] if inner else []), *spelled])
    return f"{name}({inside})" if inside else name


def joined(specs: Sequence[str]) -> str:
    """The spec of patches one after the other; empty where no spec can say that.

    >>> joined(["bias", "depthwise"]), joined(["bias", ""]), joined(["bias", "bias"])
    ('bias+depthwise', '', '')
    """
    names = [term.name for spec in specs if spec for term in parse(spec)]
    if not all(specs) or len(set(names)) != len(names):
        return ""
    return "+".join(specs)


def _value_text(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def whole(pieces: Sequence[str]) -> list[str]:
    """Specs out of a text that was split at every comma: those in brackets join again.

    >>> whole(["bias", "spotpatch(mask", "weight=2)"])
    ['bias', 'spotpatch(mask,weight=2)']
    """
    found: list[str] = []
    for piece in pieces:
        if found and found[-1].count("(") > found[-1].count(")"):
            found[-1] = f"{found[-1]},{piece}"
        else:
            found.append(piece)
    return found
