"""What every run of a search is asked for: the arguments that all kinds of them share."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from adapters.experiment.search_settings import PLACEMENT, SearchSettings
from adapters.experiment.settings import Settings
from adapters.patches.contract import Patch
from adapters.patches.registry import text_of
from adapters.search.blocks import BlockSpace
from adapters.search.cost_names import Asked, costing
from adapters.search.costs import RouteCosts
from tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Request:
    """A run of a search, asked for.

    Attributes:
      tasks: of which each gets a route, or a placement.
      settings: of the run; `patch` is what each task owns beside that.
      search: how to search.
      directory, command, resume, overwrite, test: as for a `Run`.
    """

    tasks: Sequence[Task]
    settings: Settings
    search: SearchSettings
    directory: str | os.PathLike[str]
    command: str | None = None
    resume: bool = False
    overwrite: bool = False
    test: bool = True

    def costs(self, space: BlockSpace) -> RouteCosts:
        """What the routes of `space` cost. Raises LatencyError and ColumnsError."""
        asked = Asked(space, self.settings.size, self.search.latencies)
        return costing(self.search.cost)(asked)

    def identity(self) -> dict[str, Any]:
        """What a resumed search must have in common with the one that was begun."""
        times = self.search.latencies
        known = hashlib.sha256(pathlib.Path(times).read_bytes()).hexdigest() if times else None
        return {"search": dataclasses.asdict(self.search), "times": known}

    def of_run(self, patch: Patch) -> dict[str, Any]:
        """The arguments of the `Run` in which each task trains `patch`."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del own["search"]
        settings = dataclasses.replace(self.settings, patch=text_of(patch))
        beside = "" if self.search.space == PLACEMENT else f"{self.settings.patch}+"
        called = beside + self.search.text
        return {**own, "settings": settings, "patch": patch, "called": called}
