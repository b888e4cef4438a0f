"""Converts a published checkpoint to one file that every command takes as `--weights`.

    launch/convert model.safetensors --backbone=mobilenet_v4_conv_small --conventions=torch \\
      --out=mobilenet_v4.safetensors

What most checkpoints are called tells how they were trained to be run. Where it does not (timm's
V3, V4 and Lite0), `--conventions` says it, and the written file keeps it. A file may hold averaged
weights beside those of the last step, or several networks: `--entry` says which to take, else the
average is. In the place of a file, weights may be named: hf:timm/mobilenetv3_large_100.ra_in1k.
"""

import pathlib
from collections.abc import Sequence

from absl import app, flags

from adapters.backbones.checkpoint import Checkpoint, write_checkpoint
from adapters.backbones.conventions import CONVENTIONS
from adapters.backbones.convert import ConventionsNeededError, load_checkpoint
from adapters.backbones.named_weights import Fetched, fetched, is_name
from adapters.backbones.registry import table
from adapters.experiment import output
from adapters.fingerprint import fingerprint
from launch import command

_BACKBONE = flags.DEFINE_string("backbone", None, "Layer table that the checkpoint is of.")
_CONVENTIONS = flags.DEFINE_enum(
    "conventions",
    None,
    tuple(CONVENTIONS),
    "Padding, epsilon and pixel scaling, where the checkpoint's names do not tell them.",
)
_ENTRY = flags.DEFINE_string(
    "entry", None, "Which weights of several in the file, by the name that the log gives them."
)
_LICENCE = flags.DEFINE_string("licence", "not stated", "Kept with the weights.")
_OUT = flags.DEFINE_string("out", None, "The safetensors file to write.")


def main(arguments: Sequence[str]) -> None:
    """Converts, writes, and says what was written."""
    backbone, named = _BACKBONE.value, _OUT.value
    if len(arguments) != 2 or backbone is None or named is None:
        raise app.UsageError(
            "give a file, its layer table and where to write: FILE --backbone --out"
        )
    out = output.new_file(named)
    checkpoint = _converted(arguments[1], backbone)
    write_checkpoint(out, checkpoint)
    values = sum(leaf.size for leaves in checkpoint.weights.values() for leaf in leaves.values())
    classes = "no head" if checkpoint.head is None else f"a head of {checkpoint.head['b'].size}"
    print(
        f"{out}: {checkpoint.table}, {values:,} values and {classes}; "
        f"{checkpoint.padding} padding, epsilon {checkpoint.epsilon:g}, "
        f"pixels (x - {_listed(checkpoint.mean)}) / {_listed(checkpoint.std)}; "
        f"fingerprint {fingerprint(checkpoint.weights)}"
    )


def _converted(path: str, backbone: str) -> Checkpoint:
    given = fetched(path) if is_name(path) else Fetched(pathlib.Path(path), None)
    said = _CONVENTIONS.value
    conventions = given.conventions if said is None else CONVENTIONS[said]
    try:
        return load_checkpoint(
            given.path, table(backbone), conventions, _LICENCE.value, _ENTRY.value
        )
    except ConventionsNeededError as error:
        raise ConventionsNeededError(
            f"{path}: its names do not tell padding, epsilon and pixel scaling. Give "
            f"--conventions, one of {', '.join(CONVENTIONS)}; the model's card says which."
        ) from error


def _listed(numbers: Sequence[float]) -> str:
    return "/".join(f"{number:g}" for number in dict.fromkeys(numbers))


if __name__ == "__main__":
    command.run(main)
