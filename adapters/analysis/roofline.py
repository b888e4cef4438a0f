"""Latency by the roofline: a layer takes as long as its products or its bytes, the longer counts.

MobileNetV4, arXiv 2404.10518, section 3: sum over layers of max(multiply-adds / peak, bytes /
bandwidth). A model, not a measurement: it ranks networks, and says which limit binds where.
"""

import dataclasses
import math

from adapters.errors import ModelPatchError, UnknownNameError


class MachineError(ModelPatchError):
    """A machine that could never finish."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a device is said to do at best.

    Attributes:
      name: for people.
      multiply_adds_per_second: peak.
      bytes_per_second: to and from memory.
    """

    name: str
    multiply_adds_per_second: float
    bytes_per_second: float

    def __post_init__(self) -> None:
        speeds = (self.multiply_adds_per_second, self.bytes_per_second)
        if not all(0 < speed < math.inf for speed in speeds):
            raise MachineError(f"machine {self.name}: both speeds must be above zero, and finite.")

    @property
    def ridge_point(self) -> float:
        """Multiply-adds a byte from which on products are the limit, no longer memory."""
        return self.multiply_adds_per_second / self.bytes_per_second

    def seconds(self, multiply_adds: float, moved_bytes: float) -> float:
        """Time of one step.

        >>> Machine("round", multiply_adds_per_second=100.0, bytes_per_second=10.0).seconds(50, 20)
        2.0
        """
        products = multiply_adds / self.multiply_adds_per_second
        return max(products, moved_bytes / self.bytes_per_second)


_BANDWIDTH = 10e9  # of all, so that machines differ by their ridge point alone; our declaration

MACHINES: dict[str, Machine] = {
    # Ridge points of arXiv 2404.10518, Table 16.
    name: Machine(name, ridge_point * _BANDWIDTH, _BANDWIDTH)
    for name, ridge_point in {"cpu": 31.0, "dsp": 347.0, "edge_tpu": 434.0}.items()
}


def machine(name: str) -> Machine:
    """The declared machine called `name`, or one that `name` declares by its two speeds.

    Raises:
      UnknownNameError: none has this name.
      MachineError: the speeds are no two numbers above zero.

    >>> machine("310e9,10e9").ridge_point
    31.0
    """
    if name in MACHINES:
        return MACHINES[name]
    if "," not in name:
        raise UnknownNameError("machine", name, MACHINES)
    try:
        multiply_adds, moved_bytes = map(float, name.split(","))
    except ValueError:
        raise MachineError(
            f"machine {name}: give multiply-adds and bytes a second, such as 310e9,10e9."
        ) from None
    return Machine(name, multiply_adds, moved_bytes)
