"""Stores patch files in another encoding, and says what that saves and loses.

    launch/encode out/*.patch --encoding=int8 --out=small

Each file is read through every check, its numbers are rounded, and the network that they make is
scored on validation again; test is not opened, so that an encoding can be chosen by this.
"""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.experiment import encoding, output
from adapters.store.encoding import ENCODINGS
from adapters.store.versions import version_key
from adapters.store.write import write_patch
from adapters.training import tidy
from adapters.training.report import one_score
from launch import command, shared_flags
from tasks import registry

_ENCODING = flags.DEFINE_enum("encoding", "int8", ENCODINGS, "How numbers are stored.")
_OUT = flags.DEFINE_string("out", None, "Folder for the new files; none: nothing is written.")
_WEIGHTS = shared_flags.weights()
_TASK = shared_flags.task()
_DATA_DIR = shared_flags.data_dir()
_PATCH_VERSION = flags.DEFINE_string(
    "patch_version", None, "Version of the new files, by default that of the old ones."
)
_SEED = flags.DEFINE_integer("seed", 0, "The runs', for the rows of --results.")
_RESULTS = flags.DEFINE_string("results", None, "CSV file that rows of figures are added to.")


def main(arguments: Sequence[str]) -> None:
    """Prints a line a file, and the mean."""
    paths = arguments[1:]
    if not paths:
        raise app.UsageError("give one or more patch files: launch/encode out/*.patch")
    task = registry.resolve_one(_TASK.value, _DATA_DIR.value) if _TASK.value else None
    if _PATCH_VERSION.value is not None:
        version_key(_PATCH_VERSION.value)
    done = []
    for path in paths:
        target = _OUT.value and output.new_file(
            str(pathlib.Path(_OUT.value) / pathlib.Path(path).name)
        )
        one = encoding.encoded(
            path,
            _ENCODING.value,
            _WEIGHTS.value,
            _DATA_DIR.value,
            task,
            _PATCH_VERSION.value,
        )
        if target:
            write_patch(target, one.contents)
        done.append(one)
        print(
            f"{path}: {one.bytes_before:,} -> {one.bytes_after:,} bytes, validation "
            f"{100 * one.before:.2f} -> {100 * one.after:.2f} %"
        )
    if one_score(one.contents.metric for one in done):
        lost = sum(one.before - one.after for one in done) / len(done)
        print(f"{_ENCODING.value} loses {100 * lost:.3f} points in the mean of {len(done)} files")
    if _RESULTS.value:
        typed = shlex.join(["launch/encode", *sys.argv[1:]])
        rows = [row for one in done for row in encoding.rows(one, _SEED.value, typed)]
        tidy.append(_RESULTS.value, rows)


if __name__ == "__main__":
    command.run(main)
