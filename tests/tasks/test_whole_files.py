"""Folders are scored on the pixels that a server or a device makes of the same files."""

import numpy as np
import pytest
from PIL import Image

from adapters.preprocessing import Preprocessing, normalise
from adapters.runtime.device import network_input
from tasks import pipeline
from tasks.folder import folder_task


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
