"""Makes a backbone with bases out of patch files: what each task changed of late kernels.

    launch/bases out/*.patch --blocks=17 --out=bases.safetensors
    launch/train --tasks=emoji --backbone=mobilenet_v2_1.0 --weights=bases.safetensors \\
        --patch='coefficients(bases=5, blocks=17)'

All files must belong to one backbone, and change kernels (full, delta, mask, lora or depthwise).
The settings --blocks, --kernels and --tail are to be given to the patch that takes the bases, too.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags

from adapters.backbones.checkpoint import write_checkpoint
from adapters.errors import ModelPatchError
from adapters.experiment import backbones, output
from adapters.patches.bases import KERNELS, bases_of, check_settings, layers_with_bases
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch
from launch import command, shared_flags

_OUT = flags.DEFINE_string("out", "bases.safetensors", "The file to write.")
_WEIGHTS = shared_flags.weights()
_BLOCKS = flags.DEFINE_integer("blocks", 3, "How many of the last blocks get bases.")
_KERNELS = flags.DEFINE_enum("kernels", "pointwise", KERNELS, "Which of their convolutions.")
_TAIL = flags.DEFINE_bool("tail", False, "The 1x1 convolution after the last block, too.")


class BasesPresentError(ModelPatchError):
    """A backbone that has bases before any are made."""


class UnchangedKernelsError(ModelPatchError):
    """A patch that leaves every kernel as it is, so that its basis would be zero."""


def main(arguments: Sequence[str]) -> None:
    """Reads the patches through every check but parity, and writes the extended backbone."""
    paths = arguments[1:]
    if not paths:
        raise app.UsageError("give one or more patch files: launch/bases out/*.patch")
    kernels: Any = _KERNELS.value
    check_settings(len(paths), _BLOCKS.value, kernels, "layer", spread=1.0)
    out = output.new_file(_OUT.value)
    backbone = backbones.load(read_patch(paths[0]).backbone, _WEIGHTS.value)
    weights: Any = backbone.weights
    if layers_with_bases(weights):
        raise BasesPresentError(
            f"the backbone {backbone.name} has bases already: start from the one without, that the "
            "patches were trained on."
        )
    networks: list[Any] = []
    for path in paths:
        contents = read_patch(path, shapes=backbone.shapes, fingerprint=backbone.fingerprint)
        networks.append(apply_edits(weights, contents.edits))
    extended = jax.tree.map(
        np.asarray,
        bases_of(weights, networks, _BLOCKS.value, kernels, _TAIL.value),
    )
    layers = layers_with_bases(extended)
    for number, path in enumerate(paths):
        if not any(extended[layer]["bases"][number].any() for layer in layers):
            raise UnchangedKernelsError(
                f"{path} changes none of the {len(layers)} kernels that get bases: give patches "
                "that change kernels, or others of --blocks, --kernels and --tail."
            )
    checkpoint = dataclasses.replace(
        backbone.checkpoint,
        weights=extended,
        head=None,
        source=f"{backbone.checkpoint.source}; with bases from {len(paths)} patches",
    )
    write_checkpoint(out, checkpoint)
    print(
        f"{out}: {checkpoint.table} with {len(paths)} bases in {len(layers)} layers; train with "
        f"--backbone={checkpoint.table} --weights={out} --patch='coefficients(bases={len(paths)}, "
        f"blocks={_BLOCKS.value}, kernels={kernels}, tail={str(_TAIL.value).lower()})'"
    )


if __name__ == "__main__":
    command.run(main)
