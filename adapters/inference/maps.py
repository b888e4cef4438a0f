"""Whether a backbone gives what a patch's head reads."""

from adapters.backbones.table import LayerTable
from adapters.backbones.taps import channels
from adapters.errors import UnknownNameError
from adapters.heads.registry import head_of
from adapters.store.contents import PatchContents
from adapters.store.errors import ShapeMismatchError


def check_maps(contents: PatchContents, table: LayerTable) -> None:
    """Raises ShapeMismatchError unless `table` has the maps of the head, of as many channels."""
    read = head_of(contents).channels({leaf: array.shape for leaf, array in contents.head.items()})
    for name, count in read.items():
        try:
            found = channels(table, name)
        except UnknownNameError as error:
            raise ShapeMismatchError(f"the head reads a map that is not there: {error}") from error
        if found != count:
            raise ShapeMismatchError(
                f"the head reads {count} channels of {name}, the backbone gives {found}"
            )
