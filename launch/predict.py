"""Answers for image files, with one patch or several: a line an image, or a file of all answers.

    launch/predict photographs/ --patches=out/digits.patch,out/icons.patch --top=3 --out=answers.csv

Images are files, folders with all below them, patterns ('shots/**/*.png'), and lists: .txt with a
path a line, .csv with a column `path`. A file that cannot be read is said, and ends nothing; the
exit status is then 2. --out=answers.jsonl writes JSON, a line an image.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.experiment import predicting
from adapters.experiment.image_paths import image_paths
from launch import command, shared_flags

_PATCHES = flags.DEFINE_list("patches", None, "Patch files, with commas between.")
_TOP = flags.DEFINE_integer("top", 1, "How many labels of each task to say.", lower_bound=1)
_OUT = flags.DEFINE_string("out", None, "New CSV or JSON lines file for all answers.")
_WEIGHTS = shared_flags.weights()


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each image, or how many answers were written."""
    if len(arguments) < 2 or not _PATCHES.value:
        raise app.UsageError("give images and --patches: launch/predict three.png --patches=...")
    if _OUT.value is not None:
        predicting.check_output(_OUT.value)
    images = image_paths(arguments[1:])
    predictors = predicting.load_all(_PATCHES.value, _WEIGHTS.value)
    found = []
    for one in command.watched(
        predicting.predict_files(predictors, images, _TOP.value), len(images), "image"
    ):
        found.append(one)
        if _OUT.value is None or one.fault:
            print(one, file=sys.stderr if one.fault else sys.stdout, flush=True)
    faults = sum(bool(one.fault) for one in found)
    if _OUT.value is not None:
        predicting.write_answers(_OUT.value, found)
        print(f"{_OUT.value}: {len(found) - faults} images answered, {faults} not")
    if faults:
        sys.exit(command.BAD_INPUT)


if __name__ == "__main__":
    command.run(main)
