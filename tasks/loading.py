"""Opening a task's images, wherever they come from."""

from tasks import digest
from tasks.annotated import AnnotatedSource
from tasks.arrays import Arrays
from tasks.digest import Contents, TellsContents
from tasks.folder import Folder
from tasks.inventory import Inventory
from tasks.of_another import OfAnother
from tasks.task import Examples, OpensLarge, Task, UnknownSplitError


def open_split(
    task: Task, split: str, data_dir: str | None = None, size: int | None = None
) -> Examples:
    """Opens one split for random access; makes or fetches its images where that is possible.

    Args:
      task: whose split.
      split: one of the task's.
      data_dir: where TFDS data was prepared (default: TFDS's own folder); others need none.
      size: side of a network's images, pixels: where a task has them, its images are larger than
        that. Without it they are as large as is convenient.

    Raises UnknownSplitError, DataNotPreparedError, DamagedDataError, CarrierError, FolderError.
    """
    _check_split(task, split)
    if size is not None and isinstance(task.source, OpensLarge):
        return task.source.open_for(size, task, split, data_dir)
    return task.source.open(task, split, data_dir)


def contents(task: Task, split: str, data_dir: str | None = None) -> Contents:
    """What a split holds: other images, names or targets have another digest.

    Of a source that cannot tell, all examples are read. Raises what `open_split` raises.
    """
    _check_split(task, split)
    if isinstance(task.source, TellsContents):
        return task.source.contents(task, split, data_dir)
    return digest.of_examples(task.source.open(task, split, data_dir))


def inventory(task: Task) -> Inventory | None:
    """Returns what is known of a user's own images, or None where a task says what it is made of.

    Those of a folder are read for it, unless they were before. Raises FolderError.
    """
    if isinstance(task.source, OfAnother):
        return inventory(task.source.plain)
    if isinstance(task.source, Folder | Arrays | AnnotatedSource):
        return task.source.inventory()
    return None


def task_size(task: Task, split: str, data_dir: str | None = None) -> int:
    """Returns the number of examples in a split; raises what `open_split` raises."""
    return len(open_split(task, split, data_dir))


def _check_split(task: Task, split: str) -> None:
    if split not in task.splits:
        raise UnknownSplitError(
            f"task {task.name!r} has no split {split!r}; it has {', '.join(task.splits)}."
        )
