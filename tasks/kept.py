"""Training batches of what is made once: where nothing varies, an image is the same in every epoch.

An image is then decoded and resized once; or less is kept of it than its pixels.
"""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from adapters.preprocessing import Preprocessing
from tasks import loading, pipeline
from tasks.task import Task

Arrays = Mapping[str, np.ndarray]
Rows = Callable[[np.ndarray], Arrays]
"""Indices [N] of examples -> what is known of them, {name: [N, ...]}."""
Empty = Callable[[tuple[int, ...], np.dtype], np.ndarray]
"""(shape, dtype) -> an array to be filled."""


class Prepared:
    """The training examples of a task as its batches have them, each made ready when asked for.

    Attributes:
      count: of examples.
      size: of one, in bytes.
    """

    def __init__(
        self,
        task: Task,
        preprocessing: Preprocessing,
        *,
        data_dir: str | None = None,
        inputs: Collection[str] = (),
    ):
        """Opens the images; `inputs` names what shall be known beside them."""
        self._source = loading.open_split(task, "train", data_dir, preprocessing.size)
        self._prepare = pipeline.whole_views(task, preprocessing, inputs)
        self.count = len(self._source)
        self.size = sum(value.nbytes for value in self[0].values())

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: np.asarray(each) for name, each in self._prepare(self._source[index]).items()}

    def __call__(self, rows: np.ndarray) -> Arrays:
        """As `Rows`: makes each of them ready."""
        found = [self[int(row)] for row in rows]
        return {name: np.stack([one[name] for one in found]) for name in found[0]}


def remembered(prepared: Prepared, empty: Empty) -> Rows:
    """The rows of `prepared`, each made ready the first time it is asked for.

    Safe to ask from several threads: two may make the same one ready, alike.
    """
    columns = {
        name: empty((prepared.count, *value.shape), value.dtype)
        for name, value in prepared[0].items()
    }
    known = np.zeros(prepared.count, bool)

    def rows(wanted: np.ndarray) -> Arrays:
        for row in map(int, wanted):
            if not known[row]:
                for name, value in prepared[row].items():
                    columns[name][row] = value
                known[row] = True  # last: who sees it may read the rest
        return {name: column[wanted] for name, column in columns.items()}

    return rows


class KeptBatches:
    """Batches in the order of `pipeline.training_batches`, of rows that are kept."""

    def __init__(
        self,
        rows: Rows,
        count: int,
        examples: int,
        seed: int,
        shard_index: int = 0,
        shard_count: int = 1,
    ):
        """As `training_batches` for the same seed, of `count` examples."""
        import grain  # here, as in `pipeline`

        indices = grain.MapDataset.source(range(count))
        order = pipeline.endless(indices, seed, shard_index, shard_count)
        self._order = order.batch(examples, drop_remainder=True)
        self._rows = rows

    def __getitem__(self, number: int) -> Arrays:
        return self._rows(self._order[number])
