"""What is wrong with a checkpoint's tensors, fault by fault."""

from collections.abc import Sequence

from adapters import errors

_SHOWN = 20


class ConversionError(errors.ModelPatchError):
    """A checkpoint's tensors are not those of the layer table: `faults` names every one."""

    def __init__(self, message: str, faults: Sequence[str] = ()):
        shown = [f"\n  {fault}" for fault in faults[:_SHOWN]]
        rest = [f"\n  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        super().__init__("".join([message, *shown, *rest]))
        self.faults = tuple(faults)
