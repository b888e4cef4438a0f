"""Patches by name: what a command line's spec becomes."""

import inspect
from collections.abc import Callable, Sequence

from adapters.built import built
from adapters.errors import UnknownNameError
from adapters.modules import PREVIEW, network_of
from adapters.patches.basisnet import basisnet
from adapters.patches.bias import bias
from adapters.patches.coefficients import coefficients
from adapters.patches.combine import chain, select
from adapters.patches.conditional import conditional
from adapters.patches.contract import Patch, no_look
from adapters.patches.conv_adapter import conv_adapter
from adapters.patches.delta import delta
from adapters.patches.depthwise import depthwise
from adapters.patches.film import film
from adapters.patches.full import full
from adapters.patches.head_only import head_only
from adapters.patches.last import last
from adapters.patches.lora import lora
from adapters.patches.mask import mask
from adapters.patches.naming import INNER
from adapters.patches.parallel_adapter import parallel_adapter
from adapters.patches.query_modulation import query_modulation
from adapters.patches.random_gates import random_gates
from adapters.patches.scale_bias import scale_bias
from adapters.patches.settings import PatchSettingError, check_patch
from adapters.patches.spotpatch import spotpatch
from adapters.patches.statistics import statistics
from adapters.spec import SpecError, Term, parse, term_text
from adapters.vocabulary import NormMode

PATCHES: dict[str, Callable[..., Patch]] = {
    "basisnet": basisnet,
    "bias": bias,
    "coefficients": coefficients,
    "conditional": conditional,
    "conv_adapter": conv_adapter,
    "delta": delta,
    "depthwise": depthwise,
    "film": film,
    "full": full,
    "head_only": head_only,
    "last": last,
    "lora": lora,
    "mask": mask,
    "parallel_adapter": parallel_adapter,
    "query_modulation": query_modulation,
    "random_gates": random_gates,
    "scale_bias": scale_bias,
    "spotpatch": spotpatch,
}
CUSTOM, CUSTOM_LOOK = "custom", "custom_look"
"""What stands for the spec of patches without one; `CUSTOM_LOOK` where it looks at images."""


def from_spec(spec: str, norm: NormMode = "frozen") -> Patch:
    """The patch that `spec` describes, see `adapters.spec`.

    A patch that does not look at images first leaves a preview network among the weights alone.
    Outside `frozen` mode the tasks' own norm statistics are part of it: under the gates of a patch
    that has gates.

    Raises:
      UnknownNameError: a name is not registered; near names are offered.
      SpecError: `spec` cannot be read, or an inner patch is missing or not taken.
      PatchSettingError: a setting that the patch does not have, or out of its range; or a patch of
        some layers alone, in the norm mode `batch`.

    >>> patch = from_spec("scale_bias+depthwise")
    >>> patch = from_spec("spotpatch(lora(rank=4), weight=0.5)")
    """
    patch = _chained(parse(spec), norm)
    if patch.prepare is no_look:
        patch = select(_not_of_preview, patch)
    return patch._replace(spec=with_defaults(spec))


def with_defaults(spec: str) -> str:
    """`spec` with every setting spelled out: a file's meaning must not move with our defaults.

    >>> with_defaults("lora")
    'lora(rank=2, alpha=none)'
    """
    if spec in (CUSTOM, CUSTOM_LOOK):
        return spec
    return "+".join(_spelled(term) for term in parse(spec))


def for_run(patch: Patch, norm: NormMode = "frozen") -> Patch:
    """`patch` as a run in the norm mode `norm` trains it: what `from_spec` makes of its spec.

    One that no spec names gets what `from_spec` would give it: norm statistics of the task's own
    outside `frozen` mode, after all else; and no sight of a preview network it does not use.
    """
    if patch.spec:
        return from_spec(patch.spec, norm)
    if norm != "frozen":
        patch = chain(patch, statistics())
    return patch if patch.prepare is not no_look else select(_not_of_preview, patch)


def text_of(patch: Patch) -> str:
    """What a run and its files call `patch`: its spec, or `CUSTOM`, or `CUSTOM_LOOK`.

    Raises PatchSettingError for what is no patch.
    """
    check_patch(patch)
    return patch.spec or (CUSTOM if patch.prepare is no_look else CUSTOM_LOOK)


def _spelled(term: Term) -> str:
    known = inspect.signature(PATCHES[term.name]).parameters
    settings = {
        name: term.settings.get(name, parameter.default)
        for name, parameter in known.items()
        if name != INNER
    }
    return term_text(term.name, "+".join(_spelled(each) for each in term.inner), settings)


def _not_of_preview(path: str, name: str, leaf: object) -> bool:
    return network_of(path) != PREVIEW


def _chained(terms: Sequence[Term], norm: NormMode) -> Patch:
    around = next((term.name for term in terms if term.inner), None)
    if norm == "batch" and around is not None:
        raise PatchSettingError(
            f"{around}(...) leaves layers as the backbone has them, and norms in the mode 'batch' "
            "normalise every layer by its batch: train it with norm frozen, calibrated or ema.",
            settings=["norm"],
        )
    parts = [_made(term, norm) for term in terms]
    if norm != "frozen" and not any(term.inner for term in terms):
        parts.append(statistics())
    return parts[0] if len(parts) == 1 else chain(*parts)


def _made(term: Term, norm: NormMode) -> Patch:
    if term.name not in PATCHES:
        raise UnknownNameError("patch", term.name, PATCHES)
    constructor = PATCHES[term.name]
    known = inspect.signature(constructor).parameters
    if (INNER in known) != bool(term.inner):
        takes = "takes a patch in its brackets" if INNER in known else "takes no patch inside"
        raise SpecError(f"the patch {term.name!r} {takes}: spotpatch(scale_bias), say.")
    inner = (_chained(term.inner, norm),) if term.inner else ()
    return built("patch", term.name, constructor, term.settings, PatchSettingError, inner)
