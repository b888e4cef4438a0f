"""Everything trainable: the upper bound that patches are measured against, at a network a task."""

from adapters.patches.contract import Patch
from adapters.patches.naming import named
from adapters.patches.replacement import replacement
from adapters.vocabulary import STATISTICS


@named
def full() -> Patch:
    """Each task owns every leaf but the norm statistics (those are `statistics()`'s)."""
    return replacement(lambda path, name, leaf: name not in STATISTICS)
