"""Bases: kernels among the shared weights, from which a layer's own is mixed."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from adapters.modules import TAIL, Kind, block_of, kind_of, norm_of, numbered_blocks
from adapters.patches.contract import Weights
from adapters.patches.settings import PatchSettingError, check_setting
from adapters.vocabulary import BASES, KERNEL

Kernels = Literal["pointwise", "depthwise", "both"]
Sharing = Literal["layer", "network"]

KERNELS = ("pointwise", "depthwise", "both")

_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "pointwise": ("pointwise",),
    "depthwise": ("depthwise",),
    "both": ("pointwise", "depthwise"),
}
_PER = ("layer", "network")


def check_settings(bases: int, blocks: int, kernels: str, per: str, spread: float) -> None:
    """Raises PatchSettingError for a setting out of its range."""
    check_setting("spread", spread, 0 < spread < math.inf, "above 0")
    check_setting("bases", bases, bases >= 1, "1 or more")
    check_setting("blocks", blocks, blocks >= 1, "1 or more")
    check_setting("kernels", kernels, kernels in _KINDS, f"one of {', '.join(_KINDS)}")
    check_setting("per", per, per in _PER, f"one of {', '.join(_PER)}")


def with_bases(
    key: jax.Array,
    weights: Weights,
    bases: int,
    blocks: int,
    kernels: Kernels,
    tail: bool,
    spread: float,
) -> Weights:
    """`weights` with bases for the kernels of the last blocks; those that are there already stay.

    New ones are drawn: normal, `spread` times as large as their kernel in the root of the mean
    square. They must differ, or equal gradients would keep them equal for ever.

    Args:
      key: for the draws.
      weights: of a backbone.
      bases: N.
      blocks: how many blocks, from the last one back.
      kernels: whose: those of 1x1 convolutions, of depthwise ones, or both.
      tail: whether the 1x1 convolution after the last block has bases, too.
      spread: see above.

    Raises PatchSettingError where `weights` hold bases of another number or in other layers.
    """
    wanted = _layers(weights, blocks, kernels, tail)
    held = layers_with_bases(weights)
    if held and held != wanted:
        raise PatchSettingError(
            f"the weights have bases for {_listed(held)}; the patch's settings blocks={blocks}, "
            f"kernels={kernels} and tail={str(tail).lower()} ask for {_listed(wanted)}. Give the "
            "settings that made the weights."
        )
    extended = {path: dict(leaves) for path, leaves in weights.items()}
    for index, path in enumerate(wanted):
        if path not in held:
            w = weights[path][KERNEL]
            noise = jax.random.normal(jax.random.fold_in(key, index), (bases, *w.shape), w.dtype)
            extended[path][BASES] = noise * (spread * jnp.sqrt(jnp.mean(jnp.square(w))))
        found = extended[path][BASES].shape[0]
        if found != bases:
            raise PatchSettingError(
                f"the weights have {found} bases for {path}, the patch's setting is bases={bases}."
            )
    return extended


def bases_of(
    weights: Weights, others: Sequence[Weights], blocks: int, kernels: Kernels, tail: bool
) -> Weights:
    """`weights` with what each of `others` changed of the last blocks' kernels as their bases.

    Args:
      weights: of a backbone.
      others: the same network as N tasks have it.
      blocks, kernels, tail: see `with_bases`.
    """
    extended = {path: dict(leaves) for path, leaves in weights.items()}
    for path in _layers(weights, blocks, kernels, tail):
        w = weights[path][KERNEL]
        extended[path][BASES] = jnp.stack([other[path][KERNEL] - w for other in others])
    return extended


def layers_with_bases(weights: Weights) -> list[str]:
    """Module paths, sorted, of the layers that have bases."""
    return sorted(path for path, leaves in weights.items() if BASES in leaves)


def _layers(weights: Weights, blocks: int, kernels: Kernels, tail: bool) -> list[str]:
    names = numbered_blocks(weights)
    check_setting("blocks", blocks, blocks <= len(names), f"{len(names)} at most, as the backbone")
    last = [*names[-blocks:], *([TAIL] if tail else [])]
    found = sorted(
        path
        for path, leaves in weights.items()
        if block_of(path) in last
        and norm_of(path) in weights
        and kind_of(leaves) in _KINDS[kernels]
    )
    if not found:
        raise PatchSettingError(
            f"the backbone's last {blocks} blocks have no {kernels} kernels to mix from bases: "
            "give others of blocks, kernels and tail."
        )
    return found


def _listed(paths: list[str]) -> str:
    return f"{len(paths)} layers ({', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''})"
