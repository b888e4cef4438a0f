"""Objects in image files: pictures with boxes, and a COCO file of all that was found.

    launch/detect photographs/ --patch=out/nuclei.patch --out=found

    launch/detect street.png --patch=out/sign_scenes_by_query.patch --query='left warning'

asks for a part of the objects, where the patch follows queries; of one that it does not know it
says which it does.

Images are files, folders with all below them, patterns ('shots/**/*.png'), and lists: .txt with a
path a line, .csv with a column `path`. A file that cannot be read is said, and ends nothing; the
exit status is then 2.
"""

from collections.abc import Sequence

from absl import flags

from adapters.experiment import detecting
from launch import command, shared_flags
from launch.answered_images import print_each

_PATCH = flags.DEFINE_string("patch", None, "Patch file, of a task with boxes.")
_OUT = flags.DEFINE_string("out", "detections", "New folder for pictures and detections.json.")
_QUERY = flags.DEFINE_string("query", None, "What to look for, of a patch that follows queries.")
_WEIGHTS = shared_flags.weights()


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each image, and where what was found lies."""
    asked = {} if _QUERY.value is None else {"query": _QUERY.value}
    print_each(
        "detect",
        arguments,
        _PATCH.value,
        _WEIGHTS.value,
        lambda predictor, images: detecting.detect_files(predictor, images, _OUT.value, asked),
        lambda found: (
            f"{_OUT.value}: {sum(len(one.labels) for one in found)} objects in {len(found)} images"
        ),
    )


if __name__ == "__main__":
    command.run(main)
