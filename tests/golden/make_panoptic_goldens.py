"""Writes panoptic.json: panoptic quality of made maps, by COCO's own counting.

    pip install hotcoco==1.3.0
    python -m tests.golden.make_panoptic_goldens

hotcoco (MIT) counts as COCO's panopticapi does. Maps go to it as files of COCO's panoptic format.
"""

import importlib
import json
import pathlib
import tempfile
from typing import Any

import numpy as np

from adapters.heads.contract import MOST_OF_CLASS
from adapters.panoptic_png import panoptic_png

PATH = pathlib.Path(__file__).with_name("panoptic.json")
IMAGES, CLASSES, STUFF = 12, 4, 1
GROUPS = ("All", "Things", "Stuff")
NUMBERS = np.array([-1, 0, 100, 101, 200, 201, 300])


def maps(image: int) -> tuple[Any, Any, Any]:
    """Of an image: the truth [24, 24], numbers of segments that are found, and their classes.

    Blocks, most of which are found more or less; some pixels are of none, in both.
    """
    generator = np.random.default_rng(image)
    truth = generator.choice(NUMBERS, (4, 4)).repeat(6, 0).repeat(6, 1)
    order = generator.permutation(len(NUMBERS))
    numbers = order[np.searchsorted(NUMBERS, truth)]
    noise = generator.random(truth.shape) < generator.uniform(0, 0.5)
    numbers = np.where(noise, generator.integers(-1, len(NUMBERS), truth.shape), numbers)
    classes = np.empty(len(NUMBERS), np.int64)
    classes[order] = np.maximum(NUMBERS, 0) // MOST_OF_CLASS
    wrong = generator.random(len(NUMBERS)) < 0.2
    return truth, numbers, np.where(wrong, generator.integers(0, CLASSES, len(NUMBERS)), classes)


def main() -> None:
    """Writes the file."""
    panoptic = importlib.import_module("hotcoco.panoptic")
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        sides: dict[str, list[dict[str, Any]]] = {"truth": [], "found": []}
        for image in range(IMAGES):
            truth, numbers, classes = maps(image)
            for side, drawn, label in (
                ("truth", truth, lambda number: number // MOST_OF_CLASS),
                ("found", numbers, lambda number, classes=classes: int(classes[number])),
            ):
                (folder / side).mkdir(exist_ok=True)
                (folder / side / f"{image}.png").write_bytes(panoptic_png(drawn + 1))
                info = [
                    {"id": int(n) + 1, "category_id": int(label(n)), "iscrowd": 0}
                    | {"area": int((drawn == n).sum())}
                    for n in np.unique(drawn[drawn >= 0])
                ]
                row = {"image_id": image, "file_name": f"{image}.png", "segments_info": info}
                sides[side].append(row)
        categories = [{"id": n, "name": str(n), "isthing": int(n >= STUFF)} for n in range(CLASSES)]
        images = [{"id": n, "file_name": f"{n}.png"} for n in range(IMAGES)]
        for side, rows in sides.items():
            document = {"annotations": rows, "categories": categories, "images": images}
            (folder / f"{side}.json").write_text(json.dumps(document))
        found = panoptic.pq_compute(str(folder / "truth.json"), str(folder / "found.json"))
    kept = {name: {key: found[name][key] for key in ("pq", "sq", "rq")} for name in GROUPS}
    PATH.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
