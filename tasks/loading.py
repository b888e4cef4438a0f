"""Opening a task's images, wherever they come from."""

from tasks.arrays import Arrays
from tasks.task import Examples, Task, UnknownSplitError


def open_split(task: Task, split: str, data_dir: str | None = None) -> Examples:
    """Opens one split for random access; makes or fetches its images where that is possible.

    data_dir: where TFDS data was prepared (default: TFDS's own folder); other sources need none.

    Raises UnknownSplitError, DataNotPreparedError, DamagedDataError, CarrierError, FolderError.
    """
    if split not in task.splits:
        raise UnknownSplitError(
            f"task {task.name!r} has no split {split!r}; it has {', '.join(task.splits)}."
        )
    return task.source.open(task, split, data_dir)


def digest(task: Task) -> str | None:
    """Returns the SHA-256 of a task's images and labels where they came from memory, else None.

    The others are told apart by the version of their task.
    """
    return task.source.digest if isinstance(task.source, Arrays) else None


def task_size(task: Task, split: str, data_dir: str | None = None) -> int:
    """Returns the number of examples in a split; raises what `open_split` raises."""
    return len(open_split(task, split, data_dir))
