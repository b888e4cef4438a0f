"""Sources with the images of another task."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adapters import preprocessing
from tasks.digest import Contents, TellsContents, of_examples
from tasks.task import Examples, ImageFileExamples, OpensLarge, Source, Task


@dataclasses.dataclass(frozen=True)
class OfAnother:
    """A source that reads the images of the task `plain`; `of_split` may choose and change them."""

    plain: Task

    def of_split(self, examples: Examples, task: Task, split: str) -> Examples:
        """What `task` has of a split of the plain one: by default, all as it is."""
        del task, split
        return examples

    def open(self, task: Task, split: str, data_dir: str | None) -> Examples:
        """Opens a split of the plain task."""
        return self.of_split(self.plain.source.open(self.plain, split, data_dir), task, split)

    def open_for(self, size: int, task: Task, split: str, data_dir: str | None) -> Examples:
        """Opens a split of the plain task, for a network whose images have this side."""
        source: Source = self.plain.source
        if not isinstance(source, OpensLarge):
            return self.open(task, split, data_dir)
        return self.of_split(source.open_for(size, self.plain, split, data_dir), task, split)

    def contents(self, task: Task, split: str, data_dir: str | None) -> Contents:
        """What a split of the plain task holds."""
        source: Source = self.plain.source
        if isinstance(source, TellsContents):
            return source.contents(self.plain, split, data_dir)
        return of_examples(self.open(task, split, data_dir))


Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def changed(
    examples: Examples, places: Sequence[int] | None = None, change: Change = dict
) -> Examples:
    """Some of a split's examples, in the order of `places`, or all of them, each through `change`.

    Image files stay image files. Opened in another process, `change` has to be known there.
    """
    chosen = range(len(examples)) if places is None else places
    if isinstance(examples, ImageFileExamples):
        return _ChangedFiles(examples, chosen, change)
    return _Changed(examples, chosen, change)


class _Changed:
    def __init__(self, examples: Examples, places: Sequence[int], change: Change):
        self._examples, self._places, self._change = examples, places, change

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self._change(self._examples[self._places[index]])

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[index] for index in range(len(self)))


class _ChangedFiles(_Changed):
    def __init__(self, examples: ImageFileExamples, places: Sequence[int], change: Change):
        super().__init__(examples, places, change)
        self._files = examples

    def known(self, index: int) -> Mapping[str, Any]:
        """An example without its image."""
        return self._change(self._files.known(self._places[index]))

    def file(self, index: int) -> bytes:
        """An example's image file."""
        return self._files.file(self._places[index])

    def prepared(self, index: int, how: preprocessing.Preprocessing) -> Mapping[str, Any]:
        """An example whose image is the network's pixels of the whole file."""
        return self._change(self._files.prepared(self._places[index], how))
