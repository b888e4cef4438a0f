"""`launch/export --to=mediapipe`: what MediaPipe's image classifier reads in the file."""

import importlib.util
import io
import json
import os
import struct
import subprocess
import zipfile

import numpy as np
import pytest
from PIL import Image

from adapters.experiment import backbones, exporting
from adapters.runtime import signatures
from adapters.runtime.device import network_input
from adapters.runtime.engine import Engine
from tests import narrow
from tests.device import exported
from tests.launch import small

MADE = exported.contents("one", classes=3, labels=("cat", "Vögel", "dog"))
# Another Python that has MediaPipe, whose packages contradict ours.
MEDIAPIPE = os.environ.get("MODELPATCH_MEDIAPIPE_PYTHON")
CLASSIFY = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
path, *pictures = sys.argv[1:]
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=path))
with vision.ImageClassifier.create_from_options(options) as classifier:
    for picture in pictures:
        found = classifier.classify(mediapipe.Image.create_from_file(picture))
        said = {one.category_name: one.score for one in found.classifications[0].categories}
        print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The graph of a task, and how far it was from JAX."""
    missing = [n for n in ("ai_edge_litert", "litert_converter") if not importlib.util.find_spec(n)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `launch/test` installs what is missing")
    place = tmp_path_factory.mktemp("made")
    loaded = backbones.load("narrow", str(small.write_backbone(place / "narrow.safetensors")))
    patch, path = exported.patch_file(place, MADE), place / "task.tflite"
    said = exporting.mediapipe_graph(loaded, str(patch), exporting.Comparison((), 1e-4), path)
    assert said.startswith(f"{path}: one on narrow, 3 classes, for MediaPipe, ")
    return path


def pictures(count):
    generator = np.random.default_rng(0)
    for _ in range(count):
        file = io.BytesIO()
        shape = (narrow.SIZE, narrow.SIZE, 3)
        Image.fromarray(generator.integers(0, 256, shape, np.uint8)).save(file, "png")
        yield file.getvalue()


def test_it_gives_probabilities_of_one_image(out):
    engine = Engine(out.read_bytes(), threads=1)
    for picture in pictures(2):
        image = network_input(picture, exported.PREPROCESSING)[None]
        got = engine.run("run_1", {signatures.IMAGES: image}, signatures.PROBABILITIES)
        wanted = exported.wanted(MADE, picture)
        assert got[0] == pytest.approx([wanted[label] for label in MADE.labels], abs=1e-6)


class Table:
    """A table of a flatbuffer, by the format's own description."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.fields = at - self.number("i", at)

    def number(self, form, at):
        return struct.unpack_from(f"<{form}", self.data, at)[0]

    def place(self, field):
        end = self.number("H", self.fields)
        offset = self.number("H", self.fields + 4 + 2 * field) if 4 + 2 * field < end else 0
        assert offset, f"there is no field {field}"
        return self.at + offset

    def code(self, field):
        return self.number("b", self.place(field))

    def table(self, field):
        place = self.place(field)
        return Table(self.data, place + self.number("I", place))

    def vector(self, field):
        place = self.place(field)
        start = place + self.number("I", place)
        return start + 4, self.number("I", start)

    def text(self, field):
        start, length = self.vector(field)
        return self.data[start : start + length].decode()

    def tables(self, field):
        start, length = self.vector(field)
        places = range(start, start + 4 * length, 4)
        return [Table(self.data, place + self.number("I", place)) for place in places]

    def floats(self, field):
        start, length = self.vector(field)
        return list(struct.unpack_from(f"<{length}f", self.data, start))


def test_the_file_says_what_goes_in_and_what_comes_out(out):
    """By the numbers of fields in metadata_schema.fbs and in LiteRT's schema.fbs."""
    data = out.read_bytes()
    graph = Table(data, struct.unpack_from("<I", data)[0])
    entries = {entry.text(0): entry for entry in graph.tables(6)}
    entry = entries["TFLITE_METADATA"]
    buffer = graph.tables(4)[entry.number("I", entry.place(1))]
    start, length = buffer.vector(0)
    held = data[start : start + length]
    assert held[4:8] == b"M001"
    model = Table(held, struct.unpack_from("<I", held)[0])
    assert (model.text(0), model.text(2)) == (MADE.task, MADE.task_version)
    (subgraph,) = model.tables(3)
    (images,), (probabilities,) = subgraph.tables(2), subgraph.tables(3)
    assert images.text(0) == "images"
    assert images.table(3).code(0) == 2  # an image
    assert images.table(3).table(1).code(0) == 1  # of RGB
    (unit,) = images.tables(4)
    assert unit.code(0) == 1  # normalisation
    assert unit.table(1).floats(0) == list(exported.PREPROCESSING.mean)
    assert unit.table(1).floats(1) == list(exported.PREPROCESSING.std)
    (labels,) = probabilities.tables(6)
    assert (labels.text(0), labels.code(2)) == ("labels.txt", 2)  # labels of an axis
    assert zipfile.ZipFile(out).read("labels.txt").decode().splitlines() == [*MADE.labels]


def test_mediapipe_answers_so(out, tmp_path):
    """Of images of the network's size; others it resamples otherwise."""
    if MEDIAPIPE is None:
        pytest.skip("opt-in: MODELPATCH_MEDIAPIPE_PYTHON, a Python with the package mediapipe")
    paths = []
    for number, picture in enumerate(pictures(3)):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(picture)
    command = [MEDIAPIPE, "-c", CLASSIFY, str(out), *map(str, paths)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    for found, path in zip(said, paths, strict=True):
        assert found == pytest.approx(exported.wanted(MADE, path.read_bytes()), abs=1e-5)
