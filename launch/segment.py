"""Labels or segments of every pixel of image files: pictures with their colours, and PNGs.

    launch/segment photographs/ --patch=out/nuclei_masks.patch --out=masks

Images are files, folders with all below them, patterns ('shots/**/*.png'), and lists: .txt with a
path a line, .csv with a column `path`. A file that cannot be read is said, and ends nothing; the
exit status is then 2.
"""

from collections.abc import Sequence

from absl import flags

import adapters
from adapters.experiment import segmenting
from launch import command, shared_flags
from launch.answered_images import print_each

_PATCH = flags.DEFINE_string("patch", None, "Patch file, of a task with masks.")
_OUT = flags.DEFINE_string("out", "masks", "New folder for pictures, indexed PNGs and labels.json.")
_WEIGHTS = shared_flags.weights()


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each image, and where what was found lies."""
    path = _PATCH.value
    print_each(
        "segment",
        "--patch",
        arguments,
        None if path is None else lambda: adapters.load(path, weights=_WEIGHTS.value),
        lambda predictor, images: segmenting.segment_files(predictor, images, _OUT.value),
        lambda found: f"{_OUT.value}: masks of {len(found)} images",
    )


if __name__ == "__main__":
    command.run(main)
