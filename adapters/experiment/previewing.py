"""What one patch's first look at images is worth: when to stop there, and how it mixes kernels."""

import dataclasses
import textwrap
import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from adapters import drawing
from adapters.analysis.counting import multiply_adds
from adapters.analysis.mixing import mixing
from adapters.experiment import scoring
from adapters.experiment.evaluation import Opened
from adapters.experiment.opening import EXAMPLES
from adapters.experiment.settings import SettingError
from adapters.heads import linear
from adapters.heads.registry import check_classifier, head_of
from adapters.inference.compiled import Answers
from adapters.inference.early_exit import (
    EarlyAnswers,
    EarlyExit,
    answer_early,
    early_exit,
    programs,
)
from adapters.layers.mixture import products_up_to
from adapters.modules import PREVIEW
from adapters.preprocessing import normalise
from adapters.store.edits import apply_edits
from tasks import pipeline

NEVER = 1.01  # a threshold that no probability reaches
ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Point:
    """What a threshold does: share of images that stop, their accuracy and mean multiply-adds."""

    threshold: float
    stopped: float
    accuracy: float
    multiply_adds: float


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Both predictions of every image of a split: probabilities [N, classes] and labels [N]."""

    first: npt.NDArray[np.float32]
    final: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]


class Preview:
    """A patch that looks first, opened to be studied.

    Attributes:
      look: multiply-adds of a first look at one image.
      finish: those of the network proper after it, in the way that takes the fewest; a batch may
        be faster with more of them (`adapters.layers.mixture`).

    Raises OtherHeadError, and NoPredictionError where the first look predicts nothing.
    """

    def __init__(self, opened: Opened, data_dir: str | None):
        check_classifier(opened.contents, "stopping early")
        self._opened, self._data_dir = opened, data_dir
        self._head = head_of(opened.contents)
        self._weights = apply_edits(opened.backbone.weights, opened.contents.edits)
        sizes = [max(EXAMPLES // part, 1) for part in (8, 4, 2, 1)]
        self._network: EarlyExit = early_exit(
            opened.backbone.network, opened.prepare, PREVIEW, sizes
        )
        with products_up_to(1):
            traced = programs(self._network, self._weights, opened.preprocessing.size)
        classes = len(opened.contents.labels)
        widths = [opened.contents.head[f"{PREVIEW}/w"].shape[0], opened.contents.head["w"].shape[0]]
        self.look, self.finish = (
            sum(map(multiply_adds, program.jaxpr.eqns)) + classes * width
            for program, width in zip(traced, widths, strict=True)
        )

    def both(self, split: str) -> Split:
        """Both predictions of a whole split."""
        parts = []
        for batch in self._batches(split):
            answers = self._answer(batch.inputs["image"], NEVER)
            mask = batch.mask
            parts.append((answers.first[mask], answers.final[mask], batch.targets["label"][mask]))
        return Split(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def point(self, split: Split, threshold: float) -> Point:
        """What `threshold` does on a split."""
        stopped = split.first.max(axis=1) >= threshold
        chosen = np.where(stopped[:, None], split.first, split.final)
        answers = Answers([], {"label": split.labels}, {linear.LOGITS: chosen})
        return Point(
            threshold,
            float(stopped.mean()),
            scoring.score(self._head, len(self._opened.contents.labels), answers),
            self.look + float((~stopped).mean()) * self.finish,
        )

    def seconds(self, split: str, threshold: float) -> tuple[float, float]:
        """Medians over interleaved rounds, for an image: of all images finished, and with exits."""
        batches = [batch.inputs["image"] for batch in self._batches(split)]
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS + 1):  # the first one compiles
            for limit, found in zip((NEVER, threshold), times, strict=True):
                started = time.perf_counter()
                for images in batches:
                    self._answer(images, limit)
                found.append((time.perf_counter() - started) / (len(batches) * EXAMPLES))
        never, early = (float(np.median(found[1:])) for found in times)
        return never, early

    def mixtures(self, split: str) -> dict[str, npt.NDArray[np.float32]]:
        """Of every layer with bases, the mixtures [images, N] of a whole split."""
        parts: dict[str, list[npt.NDArray[np.float32]]] = {}
        for batch in self._batches(split):
            images = normalise(batch.inputs["image"], self._opened.preprocessing)
            leaves, _ = self._network.look(self._weights, images)
            for path, named in leaves.items():
                if "mix" in named:
                    own = np.asarray(named["mix"])[batch.mask]
                    parts.setdefault(path, []).append(own)
        return {path: np.concatenate(own) for path, own in parts.items()}

    def _batches(self, split: str) -> list[pipeline.EvaluationBatch]:
        opened = self._opened
        return list(
            pipeline.evaluation_batches(
                opened.task, split, opened.preprocessing, EXAMPLES, data_dir=self._data_dir
            )
        )

    def _answer(self, pixels: npt.NDArray, threshold: float) -> EarlyAnswers:
        images = normalise(pixels, self._opened.preprocessing)
        return answer_early(
            self._network, self._weights, self._opened.contents.head, images, threshold
        )


def thresholds() -> list[float]:
    """From stopping always to never."""
    return [*np.linspace(0.0, 1.0, 51).tolist(), NEVER]


def choose(points: Sequence[Point], loss: float) -> Point:
    """The cheapest point that loses at most `loss` of the accuracy of never stopping.

    Raises SettingError for a loss that is no share.
    """
    if not 0 <= loss <= 1:
        raise SettingError("loss", f"must be from 0 to 1, not {loss}.")
    never = max(points, key=lambda point: point.threshold)
    good = [point for point in points if point.accuracy >= never.accuracy - loss]
    return min(good, key=lambda point: (point.multiply_adds, -point.threshold))


def picture(
    title: str,
    points: Sequence[Point],
    chosen: Point,
    mixtures: Mapping[str, npt.NDArray[np.float32]],
) -> bytes:
    """Accuracy against mean multiply-adds, and how bases are shared in each layer, as a PNG."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    figure.suptitle(textwrap.fill(title, 130), fontsize=10)
    curve, shares = figure.subplots(1, 2)
    costs = [point.multiply_adds / 1e6 for point in points]
    curve.plot(costs, [100 * point.accuracy for point in points], marker=".")
    curve.plot(
        [chosen.multiply_adds / 1e6],
        [100 * chosen.accuracy],
        marker="o",
        color="black",
        linestyle="none",
        label=f"stop at {chosen.threshold:.2f}: {100 * chosen.stopped:.0f} % of images",
    )
    curve.set(xlabel="mean multiply-adds an image, millions", ylabel="validation accuracy, %")
    curve.legend()
    for path, own in mixtures.items():
        entropy = mixing(own).entropy
        heights, edges = np.histogram(own, bins=np.linspace(0, 1, 21))
        label = f"{path}: entropy {entropy:.2f}"
        shares.stairs(100 * heights / own.size, edges, label=label)
    shares.set(xlabel="coefficient of a basis", ylabel="% of all images and bases")
    shares.legend(fontsize=8)
    return drawing.png(figure)
