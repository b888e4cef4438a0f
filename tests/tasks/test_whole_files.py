"""Scores are of the pixels that a server or a device makes of the same files."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from adapters import preprocessing
from adapters.preprocessing import Preprocessing, normalise
from adapters.runtime.device import network_input
from tasks import layout, loading, pipeline
from tasks.folder import folder_task
from tasks.layout import Carried, Example
from tests.tasks.stand_in import tiny_task


@pytest.fixture(scope="module")
def weave(tmp_path_factory):
    """Photographs, larger than what is kept of them, of a cloth whose threads are 5 pixels wide."""
    root = tmp_path_factory.mktemp("cloth")
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:360, :420]
    for name, amplitude in (("strong", 110), ("weak", 28)):
        (root / name).mkdir()
        for number in range(3):
            phase = generator.uniform(0, 6)
            grey = 127 + amplitude * np.sin(2 * np.pi * (x + y) / 5 + phase)
            image = Image.fromarray(np.dstack([grey.astype(np.uint8)] * 3))
            image.save(root / name / f"{number}.{'jpg' if number else 'png'}", quality=92)
    return folder_task(str(root)), root


def files_of(root, batch):
    return [(root / name).read_bytes() for name in batch.names if name]


@pytest.mark.parametrize("size", [64, 224, 320, 448])
def test_a_score_is_of_the_pixels_that_a_device_makes(weave, size):
    """To the bit, at sizes up to more than what is kept of an image."""
    task, root = weave
    how = Preprocessing(size, (127.5,) * 3, (127.5,) * 3, task.fit, task.background)
    (batch,) = pipeline.evaluation_batches(task, "test", how, 2)
    seen = normalise(batch.inputs["image"], how)
    wanted = [network_input(data, how) for data in files_of(root, batch)]
    np.testing.assert_array_equal(seen[: len(wanted)], wanted)


@pytest.mark.parametrize("size", [224, 320])
def test_what_is_trained_on_is_as_sharp(weave, size):
    """Its contrast is within a tenth of a whole file's; of 256 pixels much less is left."""
    task, root = weave
    how = Preprocessing(size, (0.0,) * 3, (1.0,) * 3, task.fit, task.background)
    stream = pipeline.training_iterator(task, how, 4, seed=0, augmentation="none")
    (batch,) = pipeline.evaluation_batches(task, "test", how, 2)
    whole = [network_input(data, how) for data in files_of(root, batch)]
    trained, wanted = (
        max(np.std(image.astype(float)) for image in images)
        for images in (next(stream)["image"], whole)
    )
    assert trained == pytest.approx(wanted, rel=0.1)


@pytest.fixture(scope="module")
def carried(weave, tmp_path_factory):
    """A task whose carrier holds such photographs: shrunk with their files, or whole."""
    _, root = weave
    files = {path.name: path.read_bytes() for path in sorted(root.glob("strong/*.*"))}

    def shrunk():
        for split, (name, data) in zip(("train", "validation", "test"), files.items(), strict=True):
            yield Example(split, name, preprocessing.decode(data, shrink_to=72), 0, file=data)

    def whole():
        for example in shrunk():
            image = Image.open(io.BytesIO(example.file)).convert("RGB")
            yield example._replace(image=image, file=None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELPATCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        tasks = {
            generate.__name__: tiny_task(generate.__name__, source=Carried(generate), fit="crop")
            for generate in (shrunk, whole)
        }
        yield tasks, files


@pytest.mark.parametrize("size", [224, 320, 448])
@pytest.mark.parametrize("given", ["shrunk", "whole"])
def test_so_is_a_score_of_what_a_carrier_holds(carried, given, size):
    tasks, files = carried
    how = Preprocessing(size, (127.5,) * 3, (127.5,) * 3, "crop")
    for split in ("train", "validation", "test"):
        (batch,) = pipeline.evaluation_batches(tasks[given], split, how, 2)
        seen = normalise(batch.inputs["image"], how)[0]
        np.testing.assert_array_equal(seen, network_input(files[batch.names[0]], how))


@pytest.mark.parametrize("size", [224, 448])
def test_and_what_of_it_is_trained_on_is_as_sharp(carried, size):
    tasks, files = carried
    how = Preprocessing(size, (0.0,) * 3, (1.0,) * 3, "crop")
    stream = pipeline.training_iterator(tasks["shrunk"], how, 1, seed=0, augmentation="none")
    (name,) = {each["name"] for each in loading.open_split(tasks["shrunk"], "train")}
    wanted = np.std(network_input(files[name], how))
    assert np.std(next(stream)["image"].astype(float)) == pytest.approx(wanted, rel=0.1)


def test_small_networks_read_small_images_and_what_is_small_is_kept_once(carried):
    tasks, _ = carried
    for size in (None, 72):
        image = loading.open_split(tasks["whole"], "test", size=size)[0]["image"]
        assert image.shape == (72, 84, 3)
    small = tiny_task()
    assert len(loading.open_split(small, "test", size=448)) == 2
    kept = layout.cached_directory(small)
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_classes_of_pixels_are_as_large_as_the_images(carried):
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 2, (14, 14)).repeat(30, axis=0).repeat(30, axis=1)
    image = Image.fromarray((255 * classes).astype(np.uint8))

    def blocks():
        return [Example(split, "x", image, classes) for split in ("train", "validation", "test")]

    task = dataclasses.replace(tiny_task("blocks"), head="segmentation", source=Carried(blocks))
    how = Preprocessing(140, (0.0,) * 3, (1.0,) * 3)
    (scored,) = pipeline.evaluation_batches(task, "test", how, 1)
    trained = next(pipeline.training_iterator(task, how, 1, 0, augmentation="none"))
    for pixels, known in (
        (scored.inputs["image"], scored.targets["classes"]),
        (trained["image"], trained["classes"]),
    ):
        np.testing.assert_array_equal(pixels[..., 0] > 127, known == 1)
