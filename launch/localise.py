"""Where a classifier sees its class in image files: pictures with heat maps, and boxes.

    launch/localise photographs/ --patch=out/emoji.patch --out=places

    launch/localise zoo.png --patch=out/emoji.patch --label='Animals & Nature'

draws the map of one class, whatever the patch answers. Nobody told it where things are: the map is
what its classifier adds up (arXiv 1512.04150). launch/evaluate --places=TASK scores such maps, and
says which threshold is best.

Images are files, folders with all below them, patterns ('shots/**/*.png'), and lists: .txt with a
path a line, .csv with a column `path`. A file that cannot be read is said, and ends nothing; the
exit status is then 2.
"""

from collections.abc import Sequence

from absl import flags

import adapters
from adapters.experiment import localising
from adapters.experiment.predictor import THRESHOLD
from launch import command, shared_flags
from launch.answered_images import print_each

_PATCH = flags.DEFINE_string("patch", None, "Patch file, of a classifier.")
_OUT = flags.DEFINE_string("out", "places", "New folder for pictures and places.json.")
_LABEL = flags.DEFINE_string("label", None, "The class; by default each image's most probable one.")
_THRESHOLD = flags.DEFINE_float(
    "threshold", THRESHOLD, "What part of the highest score is inside of a box, 0 to below 1."
)
_WEIGHTS = shared_flags.weights()


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each image, and where the pictures lie."""
    path = _PATCH.value
    print_each(
        "localise",
        "--patch",
        arguments,
        None if path is None else lambda: adapters.load(path, weights=_WEIGHTS.value),
        lambda predictor, images: localising.localise_files(
            predictor, images, _OUT.value, _LABEL.value, _THRESHOLD.value
        ),
        lambda found: f"{_OUT.value}: maps of {len(found)} images",
    )


if __name__ == "__main__":
    command.run(main)
