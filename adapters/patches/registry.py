"""Patches by name: what a command line's spec becomes."""

import inspect
from collections.abc import Callable, Sequence

from adapters.errors import UnknownNameError
from adapters.layers.norm import Mode
from adapters.patches.bias import bias
from adapters.patches.combine import chain
from adapters.patches.contract import Patch
from adapters.patches.delta import delta
from adapters.patches.depthwise import depthwise
from adapters.patches.film import film
from adapters.patches.full import full
from adapters.patches.head_only import head_only
from adapters.patches.lora import lora
from adapters.patches.mask import mask
from adapters.patches.scale_bias import scale_bias
from adapters.patches.settings import PatchSettingError
from adapters.patches.spec import PatchSpecError, Term, parse
from adapters.patches.spotpatch import spotpatch
from adapters.patches.statistics import statistics

PATCHES: dict[str, Callable[..., Patch]] = {
    "bias": bias,
    "delta": delta,
    "depthwise": depthwise,
    "film": film,
    "full": full,
    "head_only": head_only,
    "lora": lora,
    "mask": mask,
    "scale_bias": scale_bias,
    "spotpatch": spotpatch,
}
_INNER = "inner"  # the parameter of constructors that take another patch


def from_spec(spec: str, norm: Mode = "frozen") -> Patch:
    """The patch that `spec` describes, see `adapters.patches.spec`.

    Outside `frozen` mode the tasks' own norm statistics are part of it: under the gates of a patch
    that has gates.

    Raises:
      UnknownNameError: a name is not registered; near names are offered.
      PatchSpecError: `spec` cannot be read, or an inner patch is missing or not taken.
      PatchSettingError: a setting that the patch does not have, or out of its range.

    >>> patch = from_spec("scale_bias+depthwise")
    >>> patch = from_spec("spotpatch(lora(rank=4), weight=0.5)")
    """
    return _chained(parse(spec), norm)


def _chained(terms: Sequence[Term], norm: Mode) -> Patch:
    parts = [_made(term, norm) for term in terms]
    if norm != "frozen" and not any(term.inner for term in terms):
        parts.append(statistics())
    return parts[0] if len(parts) == 1 else chain(*parts)


def _made(term: Term, norm: Mode) -> Patch:
    if term.name not in PATCHES:
        raise UnknownNameError("patch", term.name, PATCHES)
    constructor = PATCHES[term.name]
    known = inspect.signature(constructor).parameters
    if (_INNER in known) != bool(term.inner):
        takes = "takes a patch in its brackets" if _INNER in known else "takes no patch inside"
        raise PatchSpecError(f"the patch {term.name!r} {takes}: spotpatch(scale_bias), say.")
    for name, value in term.settings.items():
        if name not in known or name == _INNER:
            settings = ", ".join(other for other in known if other != _INNER) or "none"
            raise PatchSettingError(
                f"the patch {term.name!r} has no setting {name!r}; it has: {settings}."
            )
        _check_kind(term.name, name, value, known[name].default)
    inner = (_chained(term.inner, norm),) if term.inner else ()
    return constructor(*inner, **term.settings)


def _check_kind(patch: str, name: str, value: object, default: object) -> None:
    """A number for a number, a word for a word; a setting that may be absent is a number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = number if default is None or isinstance(default, float) else type(value) is type(default)
    if not fits and value is not default:
        raise PatchSettingError(
            f"the patch {patch!r} has {name}={value}; like {default!r}, its default, it must be "
            f"a {'number' if default is None else type(default).__name__}."
        )
