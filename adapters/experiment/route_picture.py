"""A picture of every task's route through the blocks that all share."""

from collections.abc import Sequence

import numpy as np

from adapters.drawing import BLUE, SKY, STYLE, png
from adapters.search.blocks import BlockSpace
from adapters.shown import shown

LEFT_OUT = "#e8e8e8"


def picture(space: BlockSpace, names: Sequence[str], routes: np.ndarray) -> bytes:
    """A PNG: a row a task, a column a block; what the block keeps of the largest is its height.

    The dark part is the share of its inner channels that a block keeps; on it stand the kernel's
    side where it was chosen, of universal bottlenecks 3+5 say, 0 for a layer that is left out, and
    `se` where squeeze-excite stays. A block that is skipped is grey.

    Args:
      space: of the routes.
      names: of the tasks.
      routes: [T, D].
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = dict(space.table.named_rows())
    blocks = list(space.places)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2 + 0.5 * len(blocks), 1.2 + 0.55 * len(names)), layout="tight")
        axes = figure.add_subplot()
        for line, chosen in enumerate(routes):
            for column, block in enumerate(blocks):
                form = space.form(block, chosen)
                place = (column + 0.08, line + 0.08)
                axes.add_patch(mpl.patches.Rectangle(place, 0.84, 0.84, color=LEFT_OUT))
                if form.skipped:
                    continue
                kept = form.expanded / rows[block].expanded
                axes.add_patch(mpl.patches.Rectangle(place, 0.84, 0.84, color=SKY))
                axes.add_patch(mpl.patches.Rectangle(place, 0.84, 0.84 * kept, color=BLUE))
                kernels = {"start_kernel": form.start_kernel, "kernel": form.kernel}
                sides = [str(side) for kind, side in kernels.items() if kind in space.places[block]]
                text = ["+".join(sides)] if sides else []
                text += ["se"] if form.squeezes else []
                axes.text(
                    *(column + 0.5, line + 0.5, "\n".join(text)),
                    ha="center",
                    va="center",
                    color="white",
                    fontsize=7,
                )
        axes.set(xlim=(0, len(blocks)), ylim=(len(names), 0))
        axes.set_yticks(np.arange(len(names)) + 0.5, [shown(name) for name in names])
        axes.set_xticks(np.arange(len(blocks)) + 0.5, [b.removeprefix("block_") for b in blocks])
        axes.set(xlabel="block", title="Routes: dark is what a block keeps, grey is skipped")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return png(figure)
