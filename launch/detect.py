"""Objects in image files: pictures with boxes, and a COCO file of all that was found.

    launch/detect photographs/ --patch=out/nuclei.patch --out=found

    launch/detect photographs/ --backbone=mobilenet_v2_objects

finds what a published detector finds: 23 kinds of objects, without any patch.

    launch/detect street.png --patch=out/sign_scenes_by_query.patch --query='left warning'

asks for a part of the objects, where the patch follows queries; of one that it does not know it
says which it does.

Images are files, folders with all below them, patterns ('shots/**/*.png'), and lists: .txt with a
path a line, .csv with a column `path`. A file that cannot be read is said, and ends nothing; the
exit status is then 2.
"""

from collections.abc import Callable, Sequence

from absl import app, flags

import adapters
from adapters.experiment import detecting, published_detector
from launch import command, shared_flags
from launch.answered_images import print_each

_PATCH = flags.DEFINE_string("patch", None, "Patch file, of a task with boxes.")
_BACKBONE = flags.DEFINE_string(
    "backbone", None, "Published detector to ask in place of a patch; a patch names its backbone."
)
_OUT = flags.DEFINE_string("out", "detections", "New folder for pictures and detections.json.")
_QUERY = flags.DEFINE_string("query", None, "What to look for, of a patch that follows queries.")
_WEIGHTS = shared_flags.weights()


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each image, and where what was found lies."""
    asked = {} if _QUERY.value is None else {"query": _QUERY.value}
    print_each(
        "detect",
        "--patch, or --backbone",
        arguments,
        _named(),
        lambda detector, images: detecting.detect_files(detector, images, _OUT.value, asked),
        lambda found: (
            f"{_OUT.value}: {sum(len(one.labels) for one in found)} objects in {len(found)} images"
        ),
    )


def _named() -> Callable[[], detecting.Answering] | None:
    patch, backbone = _PATCH.value, _BACKBONE.value
    if patch is not None and backbone is not None:
        raise app.UsageError("give --patch, which names its own backbone, or --backbone alone.")
    if backbone is not None:
        return lambda: published_detector.load(backbone)
    return None if patch is None else lambda: adapters.load(patch, weights=_WEIGHTS.value)


if __name__ == "__main__":
    command.run(main)
