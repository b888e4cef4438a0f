"""Patches by name, and the `+` that chains them on a command line."""

from collections.abc import Callable

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.layers.norm import Mode
from adapters.patches.bias import bias
from adapters.patches.combine import chain
from adapters.patches.contract import Patch
from adapters.patches.depthwise import depthwise
from adapters.patches.full import full
from adapters.patches.head_only import head_only
from adapters.patches.scale_bias import scale_bias
from adapters.patches.statistics import statistics

PATCHES: dict[str, Callable[[], Patch]] = {
    "bias": bias,
    "depthwise": depthwise,
    "full": full,
    "head_only": head_only,
    "scale_bias": scale_bias,
}


class PatchSpecError(ModelPatchError):
    """A patch specification that is empty or names one family twice."""


def from_spec(spec: str, norm: Mode = "frozen") -> Patch:
    """The patch that `spec` describes: a name, or names joined by `+`.

    Outside `frozen` mode the tasks' own norm statistics are part of it.

    Raises:
      UnknownNameError: a name is not registered; near names are offered.
      PatchSpecError: `spec` is empty or repeats a name.

    >>> patch = from_spec("scale_bias+depthwise")
    """
    names = spec.split("+")
    if not all(names) or len(set(names)) != len(names):
        raise PatchSpecError(
            f"patch {spec!r} must be names joined by '+', each once: 'scale_bias+depthwise', say."
        )
    for name in names:
        if name not in PATCHES:
            raise UnknownNameError("patch", name, PATCHES)
    parts = [PATCHES[name]() for name in names]
    if norm != "frozen":
        parts.append(statistics())
    return parts[0] if len(parts) == 1 else chain(*parts)
