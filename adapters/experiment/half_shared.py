"""A network without routes: its first half is shared, each task has the second half to itself."""

import math

from adapters.backbones.builder import expected_shapes
from adapters.backbones.table import LayerTable
from adapters.experiment.search_request import Request
from adapters.experiment.training_run import Run
from adapters.modules import block_of
from adapters.patches.combine import chain, select
from adapters.patches.full import full
from adapters.patches.registry import from_spec
from adapters.vocabulary import STATISTICS


class HalfShared(Run):
    """A `Run` that shares what many would share by hand: a control of routes that were found.

    Each task's patch holds every weight of the second half of the blocks; in the first half it is
    the patch of the settings.
    """

    def __init__(self, request: Request, table: LayerTable):
        """Loads what the run needs; writes nothing. `table` is of the run's backbone.

        Raises what a `Run` raises.
        """
        blocks = [block for block, _ in table.named_rows()]
        second = set(blocks[len(blocks) // 2 :])

        def private(path: str, name: str, leaf: object) -> bool:
            return block_of(path) in second

        def common(path: str, name: str, leaf: object) -> bool:
            return not private(path, name, leaf)

        patch = chain(select(common, from_spec(request.settings.patch)), select(private, full()))
        super().__init__(**request.of_run(patch))
        self._configuration = {
            **self._configuration,
            "private": sorted(second),
            "patch": request.settings.patch,
        }
        sizes = [0, 0]
        for path, leaves in expected_shapes(table).items():
            own = [shape for name, shape in leaves.items() if name not in STATISTICS]
            sizes[block_of(path) in second] += sum(map(math.prod, own))
        self._sizes_of_halves = sizes

    @property
    def told(self) -> str:
        """How much of the network is shared, in a line."""
        shared, private = self._sizes_of_halves
        count = len(self._tasks)
        share = (shared + count * private) / (count * (shared + private))
        return (
            f"The first half of the blocks is shared, {shared:,} parameters; each of {count} tasks "
            f"has {private:,} in the second: together {100 * share:.0f} % of the parameters that "
            "as many networks of their own would have, at all of the largest's multiply-adds."
        )
