"""Writes random weights of a layer table: what to start from when nothing pretrained should help.

    launch/initialise --backbone=isometric_small_8 --out=random.safetensors
    launch/train --tasks=emoji --backbone=isometric_small_8 --weights=random.safetensors \\
      --patch=full --norm=ema
"""

from collections.abc import Sequence

import jax
import numpy as np
from absl import app, flags

from adapters.backbones import builder, registry
from adapters.backbones.checkpoint import Checkpoint, write_checkpoint
from adapters.backbones.conventions import CONVENTIONS
from adapters.experiment import output
from adapters.fingerprint import fingerprint
from launch import command

_BACKBONE = flags.DEFINE_string("backbone", None, "Layer table.")
_CONVENTIONS = flags.DEFINE_enum(
    "conventions", "keras", tuple(CONVENTIONS), "Padding, epsilon and pixel scaling."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draw.", lower_bound=0)
_OUT = flags.DEFINE_string("out", None, "The safetensors file to write.")


def main(arguments: Sequence[str]) -> None:
    """Draws, writes, and says what was written."""
    backbone, named = _BACKBONE.value, _OUT.value
    if len(arguments) != 1 or backbone is None or named is None:
        raise app.UsageError("name a layer table and where to write: --backbone --out")
    out = output.new_file(named)
    table = registry.table(backbone)
    weights = jax.jit(builder.build(table).init)(jax.random.key(_SEED.value))
    checkpoint = Checkpoint(
        table=table.name,
        weights=jax.tree.map(np.asarray, weights),
        head=None,
        **CONVENTIONS[_CONVENTIONS.value]._asdict(),
        label_offset=0,
        source=f"drawn at random with seed {_SEED.value}",
        licence="none",
    )
    write_checkpoint(out, checkpoint)
    print(f"{out}: {table.name}, fingerprint {fingerprint(checkpoint.weights)}")


if __name__ == "__main__":
    command.run(main)
