"""Images of tasks' own test splits as files, and what each task's network alone says of them."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from adapters.benchmarking.serving.questions import Answer, Question
from adapters.errors import ModelPatchError
from adapters.experiment.backbones import Loaded
from adapters.inference.compiled import Inference, Weights, inference, logits
from adapters.preprocessing import Preprocessing, decode, normalise, prepare
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from tasks import loading
from tasks.task import Task

KIND = "image"
EXACT, LOSSY = {"format": "PNG"}, {"format": "JPEG", "quality": 90}


class NoImagesError(ModelPatchError):
    """A task has no image that can be asked for."""


class Alone:
    """Each task's patched network by itself, for one image at a time.

    Args:
      backbone: of all patches.
      patches: of one image size.
    """

    def __init__(self, backbone: Loaded, patches: Sequence[PatchContents]):
        self._patches = {contents.task: contents for contents in patches}
        self._weights: dict[str, Weights] = {
            contents.task: apply_edits(backbone.weights, contents.edits) for contents in patches
        }
        size = Preprocessing.from_json(patches[0].preprocessing).size
        self._network: Inference = inference(backbone.network, 1, size)

    def question(self, task: str, body: bytes, kind: str = KIND) -> Question | None:
        """An image file with the answer that it must get.

        None where two classes are so near that rounding may decide between them.
        """
        contents = self._patches[task]
        how = Preprocessing.from_json(contents.preprocessing)
        pixels = normalise(prepare(decode(body, how.background), how), how)
        found = logits(self._network, self._weights[task], contents.head, pixels[None])[0]
        second, first = np.sort(found)[-2:]
        tolerance = contents.parity.tolerance
        if first - second <= 2 * tolerance:
            return None
        named = dict(zip(contents.labels, map(float, found), strict=True))
        label = contents.labels[int(found.argmax())]
        answer = Answer(task, label, named, tolerance)
        return Question(kind, f"/tasks/{task}", body, answer=answer)


def of_task(alone: Alone, task: Task, most: int, data_dir: str | None) -> list[Question]:
    """Questions of up to `most` images of a task's test split, by turns PNG and JPEG files.

    Raises NoImagesError, and what `loading.open_split` raises.
    """
    examples = loading.open_split(task, "test" if "test" in task.splits else "validation", data_dir)
    found: list[Question] = []
    for index in np.random.default_rng(0).permutation(len(examples)):
        body = encoded(examples[int(index)]["image"], **(LOSSY if len(found) % 2 else EXACT))
        question = alone.question(task.name, body)
        if question is not None:
            found.append(question)
        if len(found) == most:
            break
    if not found:
        raise NoImagesError(
            f"{task.name} has no image whose answer rounding cannot change: train its patch longer."
        )
    return found


def encoded(pixels: np.ndarray, **settings: object) -> bytes:
    """Pixels [H, W, 3] uint8 as an image file; `settings` are those of Pillow's `save`."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **settings)  # type: ignore[arg-type]
    return buffer.getvalue()
