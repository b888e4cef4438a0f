"""A picture of what patches change: a row a patch file, a column a layer, in the order they run."""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapters import drawing
from adapters.backbones import registry
from adapters.backbones.pretrained import PRETRAINED
from adapters.backbones.sites import sites
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError
from adapters.experiment import backbones
from adapters.modules import BLOCK, block_of, layer_of
from adapters.store.contents import PatchContents

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#666666",
    "text.parse_math": False,  # a task may be called $x^$
}


class DifferentBackbonesError(ModelPatchError):
    """Patches of several backbones, which have no layers in common."""


def picture(
    patches: Sequence[PatchContents], weights: str | os.PathLike[str] | None = None
) -> bytes:
    """A PNG: how many bytes each patch changes of each layer; white is a layer left as it was.

    A layer is a convolution with its norm; bytes are those of the edits in memory.

    Args:
      patches: of one backbone.
      weights: the backbone's, where that file alone has its layer table: a search made it.

    Raises:
      DifferentBackbonesError: the patches are not all of one backbone.
      UnknownNameError: their backbone is no known layer table.
    """
    names = sorted({patch.backbone for patch in patches})
    if len(names) > 1:
        raise DifferentBackbonesError(
            f"the patches belong to the backbones {', '.join(names)}: draw those of one at a time."
        )
    table = backbones.load(names[0], os.fspath(weights)).network.table if weights else None
    layers = _layers(table or _table(names[0]))
    sizes = [layer_bytes(patch) for patch in patches]
    kilobytes = np.asarray([[own.get(layer, 0) / 1000 for layer in layers] for own in sizes])
    return _drawn([patch.task for patch in patches], layers, kilobytes)


def layer_bytes(patch: PatchContents) -> dict[str, int]:
    """{layer: bytes of its edits in memory}, of the layers that are edited."""
    sizes: dict[str, int] = {}
    for modules in patch.edits.values():
        for path, leaves in modules.items():
            layer = layer_of(path)
            sizes[layer] = sizes.get(layer, 0) + sum(leaf.nbytes for leaf in leaves.values())
    return sizes


def _table(backbone: str) -> LayerTable:
    return registry.table(PRETRAINED[backbone].table if backbone in PRETRAINED else backbone)


def _layers(table: LayerTable) -> list[str]:
    return list(dict.fromkeys(layer_of(site.path) for site in sites(table)))


def _drawn(tasks: Sequence[str], layers: Sequence[str], kilobytes: np.ndarray) -> bytes:
    import matplotlib  # Here, as it adds half a second to the start of every command.
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(11.0, 1.8 + 0.3 * len(tasks)), layout="constrained")
        axes = figure.subplots()
        changed = np.ma.masked_equal(kilobytes, 0)
        limits: Mapping[str, Any] = {}
        if changed.count():
            limits = {"norm": LogNorm(changed.min(), max(changed.max(), 1.01 * changed.min()))}
        image = axes.imshow(changed, aspect="auto", cmap="viridis", **limits)
        figure.colorbar(image, ax=axes, label="kB changed")
        totals = kilobytes.sum(axis=1)
        rows = [f"{task}, {total:.1f} kB" for task, total in zip(tasks, totals, strict=True)]
        axes.set_yticks(range(len(tasks)), rows)
        numbered = enumerate(block_of(layer) for layer in layers)
        runs = [
            (name, list(run)) for name, run in itertools.groupby(numbered, lambda pair: pair[1])
        ]
        centres = [(run[0][0] + run[-1][0]) / 2 for _, run in runs]
        axes.set_xticks(centres, [name.removeprefix(f"{BLOCK}_") for name, _ in runs], fontsize=8)
        for label in axes.get_xticklabels():
            label.set_rotation(0 if label.get_text().isdigit() else 90)
        for _, run in runs[1:]:
            axes.axvline(run[0][0] - 0.5, color="#dddddd", linewidth=0.7)
        for row in range(1, len(tasks)):
            axes.axhline(row - 0.5, color="#dddddd", linewidth=0.7)
        axes.tick_params(length=0)
        opened = np.count_nonzero(kilobytes, axis=1)
        axes.set_title(
            f"Layers that each patch changes: {opened.min()} to {opened.max()} of {len(layers)}"
        )
        axes.set_xlabel("block")
        return drawing.png(figure)
