"""Objects in image files: pictures with boxes, and a COCO file of all that was found.

    launch/detect photographs/ --patch=out/nuclei.patch --out=found

Images are files, folders with all below them, patterns ('shots/**/*.png'), and lists: .txt with a
path a line, .csv with a column `path`. A file that cannot be read is said, and ends nothing; the
exit status is then 2.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

import adapters
from adapters.experiment import detecting
from adapters.experiment.image_paths import image_paths
from launch import command, shared_flags

_PATCH = flags.DEFINE_string("patch", None, "Patch file, of a task with boxes.")
_OUT = flags.DEFINE_string("out", "detections", "New folder for pictures and detections.json.")
_WEIGHTS = shared_flags.weights()


def main(arguments: Sequence[str]) -> None:
    """Prints a line for each image, and where what was found lies."""
    if len(arguments) < 2 or not _PATCH.value:
        raise app.UsageError("give images and --patch: launch/detect three.png --patch=...")
    images = image_paths(arguments[1:])
    predictor = adapters.load(_PATCH.value, weights=_WEIGHTS.value)
    faults = objects = 0
    for one in detecting.detect_files(predictor, images, _OUT.value):
        print(one, file=sys.stderr if one.fault else sys.stdout, flush=True)
        faults += bool(one.fault)
        objects += len(one.labels)
    print(
        f"{_OUT.value}: {objects} objects in {len(images) - faults} images, {faults} not answered"
    )
    if faults:
        sys.exit(command.BAD_INPUT)


if __name__ == "__main__":
    command.run(main)
