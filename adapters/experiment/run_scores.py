"""What a run's patches answer on a split, and how good that is beside classifiers alone."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence

from absl import logging

from adapters.experiment import assessments, confusions, scoring
from adapters.experiment.classifier_alone import accuracy_alone
from adapters.heads.classification import LABEL
from adapters.heads.together import TaskHeads
from adapters.inference.compiled import Answers, Head, Inference, Weights
from adapters.preprocessing import Preprocessing
from tasks.task import Task


@dataclasses.dataclass
class RunScores:
    """The networks that score a run's patches, and the images they are scored on.

    Attributes:
      networks: compiled, by the size of their images.
      tasks: of the run.
      heads: theirs.
      preprocessing: of each task's images.
      inputs: names of those that the patch reads beside the image.
      data_dir: folder with prepared TFDS data sets.
      untrained: the weights of the backbone, with a patch that has learned nothing.
    """

    networks: dict[int, Inference]
    tasks: Sequence[Task]
    heads: TaskHeads
    preprocessing: Sequence[Preprocessing]
    inputs: Sequence[str]
    data_dir: str | None
    untrained: Weights

    def network(self, index: int) -> Inference:
        """The one of a task's images."""
        return self.networks[self.preprocessing[index].size]

    def answers(self, index: int, split: str, weights: Weights, head: Head) -> Answers:
        """What a task's patched network says of every image of a split."""
        return scoring.predict(
            self.network(index),
            weights,
            head,
            self.heads.heads[index],
            self.tasks[index],
            split,
            self.preprocessing[index],
            self.data_dir,
            self.inputs,
        )

    def validation(
        self, patched: Callable[[int], tuple[Weights, Head]], directory: pathlib.Path
    ) -> dict[str, float]:
        """Each task's score on validation, where it has that; confusions go to the directory.

        `patched` gives a task's patched weights and its head, by its index.
        """
        scores, confused = {}, {}
        for index, task in enumerate(self.tasks):
            if "validation" not in task.splits:
                continue
            kind, labels = self.heads.heads[index], task.labels
            known = self.answers(index, "validation", *patched(index))
            scores[task.name] = scoring.score(kind, len(labels), known)
            confused[task.name] = "validation", assessments.assessed(kind, labels, known)
        confusions.write(directory, confused)
        return scores

    def compare_with_classifiers_alone(self, step: int, scores: Mapping[str, float]) -> None:
        """Says so where patches give less than no patch would."""
        alone = self._alone
        own = {name: scores[name] for name in alone if name in scores}
        if not own or sum(own.values()) >= sum(alone[name] for name in own):
            return
        behind = [
            f"{name} {100 * score:.1f} against {100 * alone[name]:.1f}"
            for name, score in own.items()
            if score < alone[name]
        ]
        logging.warning(
            "step %d: the patches are behind what a classifier of the frozen features alone "
            "reaches on validation, in %%: %s. If they stay there, they do harm: lower patch_rate.",
            *(step, ", ".join(behind)),
        )

    @functools.cached_property
    def _alone(self) -> dict[str, float]:
        """What classifiers alone reach, by task; other heads have no such measure."""
        return {
            task.name: accuracy_alone(
                self.network(index),
                *(self.untrained, task, self.preprocessing[index], self.data_dir, self.inputs),
            )
            for index, task in enumerate(self.tasks)
            if "validation" in task.splits and LABEL in task.made_head.targets
        }
