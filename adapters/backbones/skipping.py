"""Where the leaf `open` may stand: it skips a block, see `adapters.layers.residual`."""

from collections.abc import Mapping
from typing import Any

from adapters.backbones.sites import Site, sites
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError
from adapters.vocabulary import OPEN


class UnskippableError(ModelPatchError):
    """A leaf `open` beside a layer that reads none, where it would be ignored in silence."""


def check_open(table: LayerTable, weights: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises UnskippableError unless every `open` stands where the table's blocks look for one."""
    for site in sites(table):
        if OPEN in weights.get(site.path, {}) and not site.takes_open:
            raise UnskippableError(
                f"the weights have {site.path}/{OPEN}, which skips nothing: {_reason(table, site)}."
            )


def _reason(table: LayerTable, site: Site) -> str:
    if not site.skippable:
        return f"{site.block} of {table.name} does not add its input to its output"
    right = next(s.path for s in sites(table) if s.block == site.block and s.takes_open)
    return f"{site.block} of {table.name} is skipped by {right}/{OPEN}"
